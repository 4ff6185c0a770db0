//! Maps of constants, `#{ name: "item" }`: made once, with what they came to.

use std::cell::OnceCell;
use std::rc::Rc;

use rhai::Map;

/// A map of constants in a script's text. Scripts never hold one: it goes straight to a host function.
#[derive(Clone)]
pub struct FixedMap(Rc<Fixed>);

struct Fixed {
    map: Map,
    labels: OnceCell<Labels>,
}

/// What the parameters of a request come to where they only say how it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Labels {
    /// The number of its name.
    pub name: u32,
    /// Whether it was given one.
    pub named: bool,
    /// The number of its set of tags.
    pub tags: u32,
}

impl FixedMap {
    /// Of this map.
    #[must_use]
    pub fn new(map: Map) -> Self {
        Self(Rc::new(Fixed { map, labels: OnceCell::new() }))
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &Map {
        &self.0.map
    }

    /// What it came to, once that is known.
    #[must_use]
    pub fn labels(&self) -> Option<Labels> {
        self.0.labels.get().copied()
    }

    /// Takes note of what it came to.
    pub fn note(&self, labels: Labels) {
        let _ = self.0.labels.set(labels);
    }
}
