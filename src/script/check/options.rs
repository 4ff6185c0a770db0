//! Where the script says an option: from the path that a mistake names (`scenarios.shop.vus`) to the place of its key.

use rhai::{ASTFlags, Expr, Position, Stmt};

use super::world::File;
use crate::script::error::Place;

/// The places of the keys of `const options = #{ ... }`.
#[derive(Clone, Debug, Default)]
pub struct OptionPlaces {
    /// Where `options` itself stands.
    root: Option<Spot>,
    /// The keys, each with those within it.
    keys: Vec<Key>,
}

/// A place, and how many characters it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The place.
    pub place: Place,
    /// How many characters.
    pub length: usize,
}

#[derive(Clone, Debug)]
struct Key {
    name: String,
    spot: Spot,
    within: Vec<Key>,
}

impl OptionPlaces {
    /// Those of a script.
    #[must_use]
    pub(super) fn of(file: &File) -> Self {
        let options = file.ast.statements().iter().find_map(|statement| match statement {
            Stmt::Var(variable, flags, _) if variable.0.name == "options" && flags.intersects(ASTFlags::CONSTANT) => {
                Some(variable)
            }
            _ => None,
        });
        let Some(options) = options else { return Self::default() };
        let spot =
            |position: Position| Spot { place: Place::new(&file.name, position), length: file.text.length(position) };
        Self { root: Some(spot(options.0.pos)), keys: keys(&options.1, &spot) }
    }

    /// Whether the script has options.
    #[must_use]
    pub fn has_options(&self) -> bool {
        self.root.is_some()
    }

    /// The place of a path such as `scenarios.shop.vus`, or of as much of it as is written out.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<Spot> {
        let mut rest = path;
        let mut keys = &self.keys;
        let mut found = self.root.as_ref();
        while let Some((key, left)) = keys.iter().find_map(|key| Some((key, strip(rest, &key.name)?))) {
            found = Some(&key.spot);
            keys = &key.within;
            rest = left;
        }
        found.cloned()
    }
}

fn keys(value: &Expr, spot: &dyn Fn(Position) -> Spot) -> Vec<Key> {
    match value {
        Expr::Map(map, _) => map
            .0
            .iter()
            .map(|(key, value)| Key { name: key.name.to_string(), spot: spot(key.pos), within: keys(value, spot) })
            .collect(),
        _ => Vec::new(),
    }
}

/// What is left of a path behind a key, in either spelling of the key.
fn strip<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    let mut left = path.chars();
    for wanted in key.chars().filter(|&c| c != '_') {
        let c = left.find(|&c| c != '_')?;
        if !c.eq_ignore_ascii_case(&wanted) {
            return None;
        }
    }
    let rest = left.as_str();
    match rest.chars().next() {
        None => Some(rest),
        Some('.') => Some(&rest[1..]),
        Some('[') => Some(rest),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn a_key_is_found_in_either_spelling() {
        assert_eq!(strip("scenarios.shop.graceful_stop", "scenarios"), Some("shop.graceful_stop"));
        assert_eq!(strip("graceful_stop", "gracefulStop"), Some(""));
        assert_eq!(strip("stages[1].target", "stages"), Some("[1].target"));
        assert_eq!(strip("vus_max", "vus"), None);
        assert_eq!(strip("vu", "vus"), None);
    }
}
