//! One suspension and resumption of a virtual user: from a host function that has to wait, through the driver's poll,
//! back into the script. Bound: 200 ns.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use loadr::script::bridge::guard::Budget;
use loadr::script::bridge::stack::StackPool;
use loadr::script::bridge::{Run, Surroundings, wait};
use loadr::vu::Cancel;
use rhai::Dynamic;

struct Alone(Budget);

impl Surroundings for Alone {
    fn enter(&self) {}

    fn budget(&self) -> &Budget {
        &self.0
    }
}

/// Pending once, then ready: what a request or a pause looks like to the bridge.
struct Once(bool);

impl Future for Once {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Runs a script that waits `times` times to its end.
fn run(pool: &std::rc::Rc<StackPool>, alone: &Alone, times: u64) {
    let cancel = Cancel::new();
    let script = || {
        for _ in 0..times {
            wait(Once(false)).expect("nobody stops it");
        }
        Ok(Dynamic::UNIT)
    };
    let mut run = Run::new(pool, alone, &cancel, script).expect("a stack");
    let mut context = Context::from_waker(Waker::noop());
    while Pin::new(&mut run).poll(&mut context).is_pending() {}
}

fn bridge(criterion: &mut Criterion) {
    let pool = StackPool::new();
    let alone = Alone(Budget::new(1 << 40, 1 << 40, Duration::from_secs(60), Arc::new(AtomicBool::new(false))));
    criterion.bench_function("one suspension and resumption of a VU", |bencher| {
        bencher.iter_custom(|times| {
            let began = Instant::now();
            run(&pool, &alone, black_box(times));
            began.elapsed()
        });
    });
    criterion.bench_function("one run of an empty script on a pooled stack", |bencher| {
        bencher.iter(|| run(&pool, &alone, black_box(0)));
    });
}

criterion_group!(benches, bridge);
criterion_main!(benches);
