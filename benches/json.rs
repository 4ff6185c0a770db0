//! What one field out of a JSON body costs: the first look into a body, which checks and indexes all of it, and further
//! looks. Beside them serde_json, which makes the whole tree.
//!
//! `cargo bench --bench json`

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use loadr::script::json_path::JsonPath;
use loadr::script::lazy_json::LazyJson;
use loadr::script::modules::json::JsonPaths;

/// A product list of about 5.6 KB, as a shop's API would give it.
fn product_list() -> Bytes {
    let items: Vec<String> = (0..72)
        .map(|id| {
            format!(
                r#"{{"id":{id},"name":"product {id}","price":{}.99,"in_stock":{},"tags":["a","b"]}}"#,
                id * 3,
                id % 2 == 0
            )
        })
        .collect();
    Bytes::from(format!(r#"{{"page":1,"items":[{}],"total":72}}"#, items.join(",")))
}

fn one_field(criterion: &mut Criterion) {
    let body = product_list();
    let mut group = criterion.benchmark_group(format!("items[50].price of {} bytes", body.len()));
    let paths = JsonPaths::default();
    group.bench_function("first look", |bencher| {
        bencher.iter_batched_ref(
            || LazyJson::new(body.clone()),
            |json| paths.get(json, black_box("items[50].price")),
            BatchSize::SmallInput,
        );
    });
    let json = LazyJson::new(body.clone());
    group.bench_function("second look", |bencher| {
        bencher.iter(|| paths.get(&json, black_box("items[50].price")));
    });
    let parsed = JsonPath::parse("items[50].price").expect("a path");
    group.bench_function("second look, path at hand", |bencher| bencher.iter(|| json.get(black_box(&parsed))));
    group.bench_function("whole value", |bencher| bencher.iter(|| json.value()));
    group.bench_function("serde_json, whole tree", |bencher| {
        bencher.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&body)));
    });
    group.finish();
}

criterion_group!(benches, one_field);
criterion_main!(benches);
