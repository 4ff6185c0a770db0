//! Random choices that a run's seed decides.
//!
//! All of it comes from the running VU's generator, which is seeded anew for each iteration from the run's seed, the VU
//! and the iteration. So two runs with one seed make the same choices, however their VUs interleave. What must never
//! come twice, over all runs, belongs to `crypto::uuid` and `crypto::random_bytes`.

use std::time::Duration;

use rhai::{Array, Blob, Dynamic, Engine, FLOAT, INT, ImmutableString, Map};

use super::argument::{count, expected, number};
use super::duration::DurationRange;
use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::context::HostContext;
use crate::script::error::host_error;

/// The characters of `random::string(n)`.
const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "random",
    summary: "Random choices, the same for the same seed, VU and iteration.",
    docs: DOCS,
    register,
};

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "random::int(min, max) -> int",
        summary: "An integer from `min` to `max`, both included.",
        parameters: &[("min", "the least"), ("max", "the most")],
        errors: "when `min` is more than `max`",
        example: "
            let page = random::int(1, 5);
            assert_eq(page >= 1 && page <= 5, true);
            assert_eq(random::int(7, 7), 7);
            assert_error(|| random::int(2, 1), \"`min`\");
        ",
    },
    FunctionDoc {
        signature: "random::float() -> float",
        summary: "A float from 0 up to, but not including, 1.",
        parameters: &[],
        errors: "",
        example: "
            let share = random::float();
            assert_eq(share >= 0.0 && share < 1.0, true);
        ",
    },
    FunctionDoc {
        signature: "random::float(min, max) -> float",
        summary: "A float from `min` up to `max`.",
        parameters: &[("min", "the least"), ("max", "the most")],
        errors: "when `min` is more than `max`, or one of them is not a finite number",
        example: "
            let price = random::float(9.5, 10);
            assert_eq(price >= 9.5 && price <= 10.0, true);
        ",
    },
    FunctionDoc {
        signature: "random::bool() -> bool",
        summary: "`true` half of the time.",
        parameters: &[],
        errors: "",
        example: "
            let heads = 0;
            for i in 0..200 { if random::bool() { heads += 1; } }
            assert_eq(heads > 0 && heads < 200, true);
        ",
    },
    FunctionDoc {
        signature: "random::chance(p) -> bool",
        summary: "`true` with probability `p`.",
        parameters: &[("p", "from 0 (never) to 1 (always)")],
        errors: "when `p` is not from 0 to 1",
        example: "
            assert_eq(random::chance(1), true);
            assert_eq(random::chance(0.0), false);
            assert_error(|| random::chance(20), \"from 0 to 1\");
        ",
    },
    FunctionDoc {
        signature: "random::pick(array) -> value",
        summary: "One element, all equally likely.",
        parameters: &[("array", "at least one element")],
        errors: "when the array is empty",
        example: "
            let color = random::pick([\"red\", \"green\"]);
            assert_eq(color == \"red\" || color == \"green\", true);
            assert_error(|| random::pick([]), \"empty\");
        ",
    },
    FunctionDoc {
        signature: "random::weighted(choices) -> value",
        summary: "One of several choices, each as likely as its weight says.",
        parameters: &[("choices", "a map of name to weight, or an array of `[value, weight]`")],
        errors: "when there are none, a weight is negative or not a number, or all are zero",
        example: "
            let page = random::weighted(#{ home: 70, cart: 30, admin: 0 });
            assert_eq(page == \"home\" || page == \"cart\", true);
            assert_eq(random::weighted([[404, 0], [200, 1.5]]), 200);
        ",
    },
    FunctionDoc {
        signature: "random::shuffle(array) -> array",
        summary: "The elements in random order, as a new array.",
        parameters: &[("array", "any array")],
        errors: "",
        example: "
            let order = random::shuffle([1, 2, 3]);
            order.sort();
            assert_eq(order, [1, 2, 3]);
        ",
    },
    FunctionDoc {
        signature: "random::sample(array, n) -> array",
        summary: "`n` different elements, in random order.",
        parameters: &[("array", "at least `n` elements"), ("n", "how many")],
        errors: "when the array has fewer elements",
        example: "
            let two = random::sample([1, 2, 3], 2);
            assert_eq(two.len, 2);
            assert_eq(two[0] != two[1], true);
            assert_error(|| random::sample([1], 2), \"has 1\");
        ",
    },
    FunctionDoc {
        signature: "random::string(n) -> string, random::string(n, alphabet) -> string",
        summary: "`n` letters and digits, or characters of `alphabet`.",
        parameters: &[("n", "how many characters"), ("alphabet", "the characters to pick from; all equally likely")],
        errors: "when `n` is negative or above 67108864, or the alphabet is empty",
        example: "
            assert_eq(random::string(12).len, 12);
            assert_eq(random::string(3, \"x\"), \"xxx\");
        ",
    },
    FunctionDoc {
        signature: "random::bytes(n) -> blob",
        summary: "`n` bytes.",
        parameters: &[("n", "how many")],
        errors: "when `n` is negative or above 67108864",
        example: "assert_eq(random::bytes(16).len, 16);",
    },
    FunctionDoc {
        signature: "random::normal(mean, sd) -> float",
        summary: "A float out of the normal distribution.",
        parameters: &[("mean", "its mean"), ("sd", "its standard deviation, not negative")],
        errors: "when one of them is not a finite number, or `sd` is negative",
        example: "
            let sum = 0.0;
            for i in 0..100 { sum += random::normal(50, 2); }
            assert_eq(sum / 100 > 48.0 && sum / 100 < 52.0, true);
        ",
    },
    FunctionDoc {
        signature: "random::exponential(mean) -> float",
        summary: "A float out of the exponential distribution: the time between events that come independently.",
        parameters: &[("mean", "its mean, not negative")],
        errors: "when it is not a finite number, or negative",
        example: "
            assert_eq(random::exponential(3) >= 0.0, true);
            assert_eq(random::exponential(0), 0.0);
        ",
    },
    FunctionDoc {
        signature: "random::lognormal(mu, sigma) -> float",
        summary: "A float whose logarithm is normally distributed: sizes, reading times, anything with a long tail.",
        parameters: &[("mu", "the mean of the logarithm"), ("sigma", "its standard deviation, not negative")],
        errors: "when one of them is not a finite number, or `sigma` is negative",
        example: "
            assert_eq(random::lognormal(0, 1) > 0.0, true);
            assert_eq(random::lognormal(0, 0), 1.0);
        ",
    },
    FunctionDoc {
        signature: "random::duration(range) -> duration, random::duration(min, max) -> duration",
        summary: "A duration out of a range, all equally likely.",
        parameters: &[("range", "such as `1.s..3.s`"), ("min", "the shortest"), ("max", "the longest")],
        errors: "when `min` is longer than `max`",
        example: "
            let pause = random::duration(1.s..3.s);
            assert_eq(pause >= 1.s && pause <= 3.s, true);
            assert_eq(random::duration(5.ms, 5.ms), 5.ms);
        ",
    },
    FunctionDoc {
        signature: "random::uuid() -> string",
        summary: "A UUID of version 4, the same again in another run with the same seed.",
        parameters: &[],
        errors: "",
        example: "
            let id = random::uuid();
            assert_eq(id.len, 36);
            assert_eq(id[14], '4');
            assert_eq(id != random::uuid(), true);
        ",
    },
];

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    // Each closure takes the generator of the VU that calls it.
    macro_rules! draw {
        ($name:literal, |$rng:ident $(, $argument:ident: $kind:ty)*| $body:expr) => {{
            let context = context.clone();
            define(&mut natives, $name, move |$($argument: $kind),*| {
                let vu = context.vu();
                let $rng = &mut *vu.rng.borrow_mut();
                $body
            });
        }};
    }
    draw!("int", |rng, min: INT, max: INT| int(rng, min, max));
    draw!("float", |rng| rng.f64());
    draw!("float", |rng, min: Dynamic, max: Dynamic| float(rng, &min, &max));
    draw!("bool", |rng| rng.bool());
    draw!("chance", |rng, p: Dynamic| chance(rng, &p));
    draw!("pick", |rng, array: &mut Array| pick(rng, array));
    draw!("weighted", |rng, choices: Map| weighted_names(rng, &choices));
    draw!("weighted", |rng, choices: Array| weighted_pairs(rng, choices));
    draw!("shuffle", |rng, array: Array| shuffle(rng, array));
    draw!("sample", |rng, array: Array, n: INT| sample(rng, array, n));
    draw!("string", |rng, n: INT| string(rng, n, ALPHANUMERIC));
    draw!("string", |rng, n: INT, alphabet: ImmutableString| string(rng, n, &alphabet));
    draw!("bytes", |rng, n: INT| bytes(rng, n));
    draw!("normal", |rng, mean: Dynamic, sd: Dynamic| normal(rng, &mean, &sd));
    draw!("exponential", |rng, mean: Dynamic| exponential(rng, &mean));
    draw!("lognormal", |rng, mu: Dynamic, sigma: Dynamic| lognormal(rng, &mu, &sigma));
    draw!("duration", |rng, range: DurationRange| range.pick(rng));
    draw!("duration", |rng, min: Duration, max: Duration| DurationRange::new(min, max).map(|range| range.pick(rng)));
    draw!("uuid", |rng| uuid(rng));
    publish(engine, context, MODULE.name, natives);
}

fn int(rng: &mut fastrand::Rng, min: INT, max: INT) -> HostResult<INT> {
    if min > max {
        return Err(host_error(format!("`random::int`: `min` {min} is more than `max` {max}")));
    }
    Ok(rng.i64(min..=max))
}

/// `random::float`.
///
/// # Errors
/// When the bounds are none.
pub fn float(rng: &mut fastrand::Rng, min: &Dynamic, max: &Dynamic) -> HostResult<FLOAT> {
    let (min, max) = (number(min, "random::float", "min")?, number(max, "random::float", "max")?);
    if min > max {
        return Err(host_error(format!("`random::float`: `min` {min} is more than `max` {max}")));
    }
    // Weighted ends rather than `min + share * (max - min)`: the difference of two floats may be infinite.
    let share = rng.f64();
    Ok((min * (1.0 - share) + max * share).clamp(min, max))
}

fn chance(rng: &mut fastrand::Rng, p: &Dynamic) -> HostResult<bool> {
    let p = number(p, "random::chance", "p")?;
    if !(0.0..=1.0).contains(&p) {
        return Err(host_error(format!("`random::chance`: `p` must be from 0 to 1, found `{p}`")));
    }
    Ok(rng.f64() < p)
}

fn pick(rng: &mut fastrand::Rng, array: &[Dynamic]) -> HostResult<Dynamic> {
    if array.is_empty() {
        return Err(host_error("`random::pick`: the array is empty: there is nothing to pick"));
    }
    Ok(array[rng.usize(..array.len())].clone())
}

fn weighted_names(rng: &mut fastrand::Rng, choices: &Map) -> HostResult<Dynamic> {
    let weights = choices.values().map(weight).collect::<HostResult<Vec<_>>>()?;
    let chosen = weighted_index(rng, &weights)?;
    Ok(choices.keys().nth(chosen).map_or(Dynamic::UNIT, |name| name.as_str().into()))
}

fn weighted_pairs(rng: &mut fastrand::Rng, choices: Array) -> HostResult<Dynamic> {
    let mut values = Vec::with_capacity(choices.len());
    let mut weights = Vec::with_capacity(choices.len());
    for choice in choices {
        let shape = expected(&choice, "random::weighted", "choices", "a map, or an array of `[value, weight]`");
        let pair = choice.try_cast::<Array>().and_then(|pair| <[Dynamic; 2]>::try_from(pair).ok());
        let [value, heaviness] = pair.ok_or(shape)?;
        weights.push(weight(&heaviness)?);
        values.push(value);
    }
    let chosen = weighted_index(rng, &weights)?;
    Ok(values.swap_remove(chosen))
}

fn weight(value: &Dynamic) -> HostResult<FLOAT> {
    let weight = number(value, "random::weighted", "weight")?;
    if weight < 0.0 {
        return Err(host_error(format!("`random::weighted`: a weight must not be negative, found `{weight}`")));
    }
    Ok(weight)
}

fn weighted_index(rng: &mut fastrand::Rng, weights: &[FLOAT]) -> HostResult<usize> {
    let total: FLOAT = weights.iter().sum();
    // Rounding may leave a rest after the last weight: it goes to the last that is not zero.
    let Some(last) = weights.iter().rposition(|&weight| weight > 0.0) else {
        return Err(host_error("`random::weighted`: at least one choice needs a weight above zero"));
    };
    let mut rest = rng.f64() * total;
    for (index, weight) in weights[..last].iter().enumerate() {
        if rest < *weight {
            return Ok(index);
        }
        rest -= weight;
    }
    Ok(last)
}

fn shuffle(rng: &mut fastrand::Rng, mut array: Array) -> Array {
    rng.shuffle(&mut array);
    array
}

fn sample(rng: &mut fastrand::Rng, mut array: Array, n: INT) -> HostResult<Array> {
    let n = count(n, "random::sample", "n")?;
    if n > array.len() {
        return Err(host_error(format!("`random::sample`: {n} elements wanted, the array has {}", array.len())));
    }
    // The first steps of a shuffle: as many as are asked for.
    for taken in 0..n {
        let other = rng.usize(taken..array.len());
        array.swap(taken, other);
    }
    array.truncate(n);
    Ok(array)
}

fn string(rng: &mut fastrand::Rng, n: INT, alphabet: &str) -> HostResult<ImmutableString> {
    let n = count(n, "random::string", "n")?;
    if alphabet.is_empty() && n > 0 {
        return Err(host_error("`random::string`: the alphabet is empty"));
    }
    let mut text = String::with_capacity(n);
    if alphabet.is_ascii() {
        let letters = alphabet.as_bytes();
        text.extend((0..n).map(|_| char::from(letters[rng.usize(..letters.len())])));
    } else {
        let letters: Vec<char> = alphabet.chars().collect();
        text.extend((0..n).map(|_| letters[rng.usize(..letters.len())]));
    }
    Ok(text.into())
}

fn bytes(rng: &mut fastrand::Rng, n: INT) -> HostResult<Blob> {
    let mut bytes = vec![0; count(n, "random::bytes", "n")?];
    rng.fill(&mut bytes);
    Ok(bytes)
}

/// A draw of the standard normal distribution (Box and Muller, the cosine half).
fn standard_normal(rng: &mut fastrand::Rng) -> FLOAT {
    // From 0 excluded to 1 included: the logarithm of zero is infinite.
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

fn spread(value: &Dynamic, function: &str, parameter: &str) -> HostResult<FLOAT> {
    let spread = number(value, function, parameter)?;
    if spread < 0.0 {
        return Err(host_error(format!("`{function}`: `{parameter}` must not be negative, found `{spread}`")));
    }
    Ok(spread)
}

/// `random::normal`.
///
/// # Errors
/// When a parameter is no number, or the deviation is negative.
pub fn normal(rng: &mut fastrand::Rng, mean: &Dynamic, sd: &Dynamic) -> HostResult<FLOAT> {
    let (mean, sd) = (number(mean, "random::normal", "mean")?, spread(sd, "random::normal", "sd")?);
    Ok(mean + sd * standard_normal(rng))
}

/// `random::exponential`.
///
/// # Errors
/// When the mean is no number, or negative.
pub fn exponential(rng: &mut fastrand::Rng, mean: &Dynamic) -> HostResult<FLOAT> {
    let mean = spread(mean, "random::exponential", "mean")?;
    Ok(mean * -(1.0 - rng.f64()).ln())
}

/// `random::lognormal`.
///
/// # Errors
/// When a parameter is no number, or `sigma` is negative.
pub fn lognormal(rng: &mut fastrand::Rng, mu: &Dynamic, sigma: &Dynamic) -> HostResult<FLOAT> {
    let (mu, sigma) = (number(mu, "random::lognormal", "mu")?, spread(sigma, "random::lognormal", "sigma")?);
    Ok((mu + sigma * standard_normal(rng)).exp())
}

fn uuid(rng: &mut fastrand::Rng) -> ImmutableString {
    let id = uuid::Builder::from_random_bytes(rng.u128(..).to_le_bytes()).into_uuid();
    ImmutableString::from(&*id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rng() -> fastrand::Rng {
        fastrand::Rng::with_seed(11)
    }

    #[test]
    fn weights_decide_how_often() {
        let mut rng = rng();
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[weighted_index(&mut rng, &[1.0, 0.0, 3.0]).unwrap()] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((2_200..2_800).contains(&counts[0]), "{counts:?}");
        assert_eq!(weighted_index(&mut rng, &[0.0, 5.0, 0.0]).unwrap(), 1);
        assert!(weighted_index(&mut rng, &[0.0]).is_err());
        assert!(weighted_index(&mut rng, &[]).is_err());
    }

    #[test]
    fn distributions_have_their_moments() {
        let mut rng = rng();
        let draws: Vec<f64> = (0..20_000).map(|_| standard_normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
        let waits: f64 = (0..20_000).map(|_| exponential(&mut rng, &4.0.into()).unwrap()).sum();
        assert!((waits / 20_000.0 - 4.0).abs() < 0.15, "{waits}");
    }

    #[test]
    fn ranges_hold_at_their_ends() {
        let mut rng = rng();
        assert!(int(&mut rng, INT::MIN, INT::MAX).is_ok());
        let widest = float(&mut rng, &f64::MIN.into(), &f64::MAX.into()).unwrap();
        assert!(widest.is_finite());
        let seen: std::collections::BTreeSet<_> = (0..200).map(|_| int(&mut rng, -1, 1).unwrap()).collect();
        assert_eq!(Vec::from_iter(seen), [-1, 0, 1]);
        assert_eq!(string(&mut rng, 2, "ß").unwrap().as_str(), "ßß");
        assert!(string(&mut rng, -1, "a").is_err());
        assert!(bytes(&mut rng, INT::MAX).is_err());
    }
}
