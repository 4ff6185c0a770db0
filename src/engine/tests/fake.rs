//! A virtual user that sleeps, fails, panics or plays deaf as a test wants, and writes down what it did.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::metric::registry::Recorder;
use crate::vu::{Cancel, LocalBoxFuture, Outcome, Seat, SetupData, Start, Vu, VuError, VuFactory, VuHost, WorkerSeat};

/// What an iteration, or a hook, does.
#[derive(Clone, Debug)]
pub enum Act {
    /// Sleeps, unless cancelled, and then has this outcome.
    Sleep(Duration, Outcome),
    /// Sleeps, and does not heed its cancel.
    Deaf(Duration),
    /// Ends without ever waiting.
    Instant(Outcome),
    /// Panics.
    Panic,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    Setup,
    Data(serde_json::Value),
    Teardown,
    Built(Seat),
    Started(Seat),
    Iteration { seat: Seat, start: Start },
    Ended { seat: Seat, at: Duration, outcome: Outcome },
    Stopped(Seat),
    Dropped(Seat),
}

type Script = Arc<dyn Fn(Seat, Start) -> Act + Send + Sync>;

#[derive(Clone)]
pub struct Fake {
    pub log: Arc<Mutex<Vec<Entry>>>,
    pub journey: Script,
    pub setup: Arc<dyn Fn() -> (Act, Result<serde_json::Value, VuError>) + Send + Sync>,
    pub teardown: Arc<dyn Fn() -> (Act, Result<(), VuError>) + Send + Sync>,
    pub stop: Act,
    /// The pace that an iteration asks for.
    pub pace: fn(Start) -> Option<Duration>,
    /// Fails for these VUs.
    pub build_fails: fn(Seat) -> bool,
    pub host_fails: fn(usize) -> bool,
    /// Panics when the worker takes the setup's data.
    pub data_panics: fn(usize) -> bool,
}

impl Fake {
    /// One whose iterations do what `journey` says, and whose hooks end at once.
    pub fn new(journey: impl Fn(Seat, Start) -> Act + Send + Sync + 'static) -> Self {
        Self {
            log: Arc::default(),
            journey: Arc::new(journey),
            setup: Arc::new(|| (Act::Instant(Outcome::Completed), Ok(serde_json::Value::Null))),
            teardown: Arc::new(|| (Act::Instant(Outcome::Completed), Ok(()))),
            stop: Act::Instant(Outcome::Completed),
            pace: |_| None,
            build_fails: |_| false,
            host_fails: |_| false,
            data_panics: |_| false,
        }
    }

    /// One whose iterations all take so long and complete.
    pub fn sleeping(ms: u64) -> Self {
        Self::new(move |_, _| Act::Sleep(Duration::from_millis(ms), Outcome::Completed))
    }

    fn note(&self, entry: Entry) {
        self.log.lock().expect("nobody panics while holding the log").push(entry);
    }
}

async fn perform(act: Act, cancel: &Cancel) -> Outcome {
    let cancelled = poll_fn(|cx| {
        cancel.register(cx.waker());
        if cancel.reason().is_some() { Poll::Ready(()) } else { Poll::Pending }
    });
    match act {
        Act::Sleep(duration, outcome) => tokio::select! {
            () = sleep(duration) => outcome,
            () = cancelled => Outcome::Interrupted,
        },
        Act::Deaf(duration) => {
            sleep(duration).await;
            Outcome::Completed
        }
        Act::Instant(outcome) => outcome,
        Act::Panic => panic!("on purpose"),
    }
}

impl VuFactory for Fake {
    fn host(&self, seat: WorkerSeat, _: Recorder) -> Result<Rc<dyn VuHost>, VuError> {
        if (self.host_fails)(seat.worker) {
            return Err(VuError::Script(format!("init failed on worker {}", seat.worker)));
        }
        Ok(Rc::new(Host { fake: self.clone(), worker: seat.worker }))
    }
}

struct Host {
    fake: Fake,
    worker: usize,
}

impl VuHost for Host {
    fn setup<'a>(&'a self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Result<SetupData, VuError>> {
        self.fake.note(Entry::Setup);
        let (act, result) = (self.fake.setup)();
        Box::pin(async move {
            match perform(act, cancel).await {
                Outcome::Completed => result.map(Arc::new),
                other => Err(VuError::Aborted(format!("{other:?}"))),
            }
        })
    }

    fn set_data(&self, data: SetupData) {
        assert!(!(self.fake.data_panics)(self.worker), "on purpose");
        self.fake.note(Entry::Data((*data).clone()));
    }

    fn teardown<'a>(&'a self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Result<(), VuError>> {
        self.fake.note(Entry::Teardown);
        let (act, result) = (self.fake.teardown)();
        Box::pin(async move {
            perform(act, cancel).await;
            result
        })
    }

    fn build(&self, seat: Seat) -> Result<Box<dyn Vu>, VuError> {
        if (self.fake.build_fails)(seat) {
            return Err(VuError::Script("no such function".into()));
        }
        self.fake.note(Entry::Built(seat));
        Ok(Box::new(FakeVu { fake: self.fake.clone(), seat, pace: None }))
    }
}

struct FakeVu {
    fake: Fake,
    seat: Seat,
    pace: Option<Duration>,
}

impl Vu for FakeVu {
    fn start<'a>(&'a mut self, _: &'a Cancel) -> LocalBoxFuture<'a, Outcome> {
        self.fake.note(Entry::Started(self.seat));
        Box::pin(std::future::ready(Outcome::Completed))
    }

    fn iterate<'a>(&'a mut self, start: Start, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome> {
        self.fake.note(Entry::Iteration { seat: self.seat, start });
        let act = (self.fake.journey)(self.seat, start);
        self.pace = (self.fake.pace)(start);
        Box::pin(async move {
            let begun = Instant::now();
            let outcome = perform(act, cancel).await;
            let at = start.actual + begun.elapsed();
            self.fake.note(Entry::Ended { seat: self.seat, at, outcome: outcome.clone() });
            outcome
        })
    }

    fn pace(&mut self) -> Option<Duration> {
        self.pace.take()
    }

    fn stop<'a>(&'a mut self, cancel: &'a Cancel) -> LocalBoxFuture<'a, Outcome> {
        self.fake.note(Entry::Stopped(self.seat));
        Box::pin(perform(self.fake.stop.clone(), cancel))
    }
}

impl Drop for FakeVu {
    fn drop(&mut self) {
        self.fake.note(Entry::Dropped(self.seat));
    }
}
