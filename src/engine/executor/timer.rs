//! A timer that is finer than tokio's, whose ticks are whole milliseconds.
//!
//! On Linux it is a timer of the kernel (`timerfd`) that the event loop waits for like for a socket: it takes three
//! system calls a wait and no CPU while it waits. Where there is none, and on a paused clock, tokio's timer serves.

use tokio::time::{Instant, sleep_until};

/// Waits for instants.
#[derive(Debug)]
pub struct Timer {
    #[cfg(target_os = "linux")]
    kernel: Option<kernel::KernelTimer>,
}

impl Timer {
    /// One that is fine if `fine` asks for it and the system has it. Needs an event loop around it.
    #[must_use]
    pub fn new(fine: bool) -> Self {
        #[cfg(not(target_os = "linux"))]
        let _ = fine;
        Self {
            #[cfg(target_os = "linux")]
            kernel: fine.then(kernel::KernelTimer::new).and_then(Result::ok),
        }
    }

    /// Waits until `at`; not at all when that is over.
    pub async fn sleep_until(&self, at: Instant) {
        #[cfg(target_os = "linux")]
        if let Some(kernel) = &self.kernel
            && kernel.sleep_until(at).await.is_ok()
        {
            return;
        }
        if at > Instant::now() {
            sleep_until(at).await;
        }
    }
}

#[cfg(target_os = "linux")]
mod kernel {
    use std::io;
    use std::os::fd::OwnedFd;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };
    use tokio::io::unix::AsyncFd;
    use tokio::time::Instant;

    #[derive(Debug)]
    pub struct KernelTimer(AsyncFd<OwnedFd>);

    impl KernelTimer {
        pub fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let file = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[expect(
                deprecated,
                reason = "what it warns of are types whose descriptor may change; an owned one is the same for life, and \
                          what replaces it is `unsafe`"
            )]
            AsyncFd::new(file).map(Self)
        }

        pub async fn sleep_until(&self, at: Instant) -> io::Result<()> {
            let wait = at.saturating_duration_since(Instant::now());
            // A timer that is set to zero is switched off.
            if wait.is_zero() {
                return Ok(());
            }
            let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
            let value = Timespec::try_from(wait).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            // Setting it also forgets an expiry of an earlier wait that was given up.
            let set = Itimerspec { it_interval: zero, it_value: value };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &set)?;
            loop {
                let mut ready = self.0.readable().await?;
                let mut expiries = [0u8; 8];
                match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut expiries)?)) {
                    Ok(read) => return read.map(drop),
                    Err(_would_block) => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn neither_timer_is_early() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            for fine in [true, false] {
                let timer = Timer::new(fine);
                for wait in [0, 150, 1_700] {
                    let at = Instant::now() + Duration::from_micros(wait);
                    // A wait that is given up leaves nothing behind.
                    let _ = tokio::time::timeout(Duration::ZERO, timer.sleep_until(at)).await;
                    timer.sleep_until(at).await;
                    assert!(Instant::now() >= at, "{fine} {wait}");
                }
            }
        });
    }

    #[test]
    fn a_paused_clock_is_not_held_up() {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let at = Instant::now() + Duration::from_secs(3_600);
            Timer::new(false).sleep_until(at).await;
            assert_eq!(Instant::now(), at);
        });
    }
}
