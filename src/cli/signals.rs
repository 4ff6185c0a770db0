//! Ctrl-C and SIGTERM: the first stops gracefully, the second at once.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Runtime};

use crate::engine::Control;

/// Hears the signals from when it is made: none that comes later is lost, or ends the process.
pub struct Listener {
    runtime: Runtime,
    signals: Signals,
}

impl Listener {
    /// Takes the signals over from the system.
    ///
    /// # Errors
    /// When the system refuses to hand them over.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let signals = {
            let _entered = runtime.enter();
            Signals::new()?
        };
        Ok(Self { runtime, signals })
    }

    /// Blocks until the next signal; gives its name.
    pub fn wait(&mut self) -> &'static str {
        self.runtime.block_on(self.signals.next())
    }
}

/// Listens on a thread of its own, for as long as the process lives.
///
/// # Errors
/// When the system refuses to hand over its signals.
pub fn stop_on_signals(control: &Control) -> io::Result<()> {
    let mut listener = Listener::new()?;
    let control = control.clone();
    thread::Builder::new().name("loadr-signals".into()).spawn(move || {
        let name = listener.wait();
        control.stop(format!("interrupted by {name}"));
        let name = listener.wait();
        control.stop_now(format!("interrupted again by {name}"));
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
