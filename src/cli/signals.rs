//! Ctrl-C and SIGTERM: the first stops gracefully, the second at once.

use std::io;
use std::thread;

use tokio::runtime::Builder;

use crate::engine::Control;

/// Listens on a thread of its own, for as long as the process lives.
///
/// # Errors
/// When the system refuses to hand over its signals.
pub fn stop_on_signals(control: &Control) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let control = control.clone();
    let mut signals = {
        let _entered = runtime.enter();
        Signals::new()?
    };
    thread::Builder::new().name("loadr-signals".into()).spawn(move || {
        runtime.block_on(async {
            let name = signals.next().await;
            control.stop(format!("interrupted by {name}"));
            let name = signals.next().await;
            control.stop_now(format!("interrupted again by {name}"));
        });
    })?;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> &'static str {
        let _ = tokio::signal::ctrl_c().await;
        "Ctrl-C"
    }
}
