//! What scripts can call: the functions, methods and properties that the engine has, by name, with the types of their
//! parameters; and how their documentation writes them.

use std::any::TypeId;

use rhai::{Dynamic, Engine, ImmutableString};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::evident::Type;
use crate::script::modules::{FunctionDoc, TABLE};

/// Words that can be called though no function is registered for them.
const BUILT_IN: &[&str] = &[
    "call",
    "curry",
    "type_of",
    "is_shared",
    "is_def_var",
    "is_def_fn",
    "eval",
    "Fn",
    "print",
    "debug",
    "name",
    "is_anonymous",
];

type Parameters = SmallVec<[TypeId; 3]>;
type Functions = FxHashMap<String, SmallVec<[Parameters; 2]>>;

/// What the engine has.
pub struct Known {
    global: Functions,
    modules: FxHashMap<String, Functions>,
}

impl Known {
    /// Of an engine with all host modules.
    #[must_use]
    pub fn new(engine: &Engine) -> Self {
        let found = engine.collect_fn_metadata(
            None,
            |info| {
                let types = info.metadata.param_types.iter().copied().collect::<Parameters>();
                // A function whose parameters' types are not known takes any.
                let missing = info.metadata.num_params.saturating_sub(types.len());
                let types = types.into_iter().chain(std::iter::repeat_n(TypeId::of::<Dynamic>(), missing));
                Some((info.namespace, info.metadata.name.clone(), types.collect::<Parameters>()))
            },
            true,
        );
        let mut known = Self { global: Functions::default(), modules: FxHashMap::default() };
        for (namespace, name, types) in found {
            let functions = match namespace.as_str() {
                "" => &mut known.global,
                module => known.modules.entry(module.to_owned()).or_default(),
            };
            match functions.get_mut(name.as_str()) {
                Some(known) => known.push(types),
                None => drop(functions.insert(name.as_str().to_owned(), SmallVec::from_iter([types]))),
            }
        }
        known
    }

    /// Whether loadr has a module of that name.
    #[must_use]
    pub fn has_module(&self, name: &str) -> bool {
        self.modules.contains_key(name)
    }

    /// The names of loadr's modules.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The numbers of arguments that a function takes; empty when there is none of that name.
    #[must_use]
    pub fn arities(&self, module: &str, name: &str) -> Vec<usize> {
        let functions = if module.is_empty() { Some(&self.global) } else { self.modules.get(module) };
        let overloads = functions.and_then(|functions| functions.get(name));
        let mut arities: Vec<usize> = overloads.into_iter().flatten().map(SmallVec::len).collect();
        arities.sort_unstable();
        arities.dedup();
        arities
    }

    /// Whether a word can be called though no function is registered for it.
    #[must_use]
    pub fn is_built_in(&self, name: &str) -> bool {
        BUILT_IN.contains(&name)
    }

    /// The names of a module's functions, or of the global ones.
    #[must_use]
    pub fn functions(&self, module: &str) -> Vec<&str> {
        let functions = if module.is_empty() { Some(&self.global) } else { self.modules.get(module) };
        let names = functions.into_iter().flat_map(FxHashMap::keys).map(String::as_str);
        names.filter(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_') && !name.contains('$')).collect()
    }

    /// Whether a value of that type has the method with that many arguments.
    #[must_use]
    pub fn has_method(&self, owner: Type, name: &str, arguments: usize) -> bool {
        self.overloads(name).any(|types| types.len() == arguments + 1 && takes(types[0], owner))
    }

    /// The numbers of arguments with which a value of that type has the method.
    #[must_use]
    pub fn method_arities(&self, owner: Type, name: &str) -> Vec<usize> {
        let overloads = self.overloads(name).filter(|types| types.first().is_some_and(|&first| takes(first, owner)));
        let mut arities: Vec<usize> = overloads.map(|types| types.len() - 1).collect();
        arities.sort_unstable();
        arities.dedup();
        arities
    }

    /// Whether a value of that type has the property, or properties that depend on the value.
    #[must_use]
    pub fn has_property(&self, owner: Type, name: &str) -> bool {
        self.has_getter(owner, name) || self.is_indexed(owner)
    }

    /// Whether a value of that type has the property, whatever its value is.
    #[must_use]
    pub fn has_getter(&self, owner: Type, name: &str) -> bool {
        self.overloads(&format!("get${name}")).any(|types| takes(types[0], owner))
    }

    /// Whether a property of that type can be assigned to.
    #[must_use]
    pub fn has_setter(&self, owner: Type, name: &str) -> bool {
        self.overloads(&format!("set${name}")).any(|types| takes(types[0], owner))
            || self.overloads("index$set$").any(|types| takes(types[0], owner))
    }

    /// Whether an operator is registered for values of these types.
    #[must_use]
    pub fn has_operator(&self, operator: &str, left: Type, right: Type) -> bool {
        self.overloads(operator).any(|types| types.len() == 2 && takes(types[0], left) && takes(types[1], right))
    }

    fn is_indexed(&self, owner: Type) -> bool {
        self.overloads("index$get$").any(|types| takes(types[0], owner) && takes(types[1], Type::Text))
    }

    /// The names of the properties and methods of a type.
    #[must_use]
    pub fn members(&self, owner: Type) -> Vec<&str> {
        let own = |types: &Parameters| types.first().is_some_and(|&first| owner.id() == Some(first));
        let members = self.global.iter().filter(|(_, overloads)| overloads.iter().any(own));
        let names = members.map(|(name, _)| name.strip_prefix("get$").unwrap_or(name));
        names.filter(|name| name.starts_with(char::is_alphabetic) && !name.contains('$')).collect()
    }

    fn overloads(&self, name: &str) -> impl Iterator<Item = &Parameters> {
        self.global.get(name).into_iter().flatten()
    }
}

/// Whether a parameter takes a value of that type.
fn takes(parameter: TypeId, value: Type) -> bool {
    let Some(id) = value.id() else { return true };
    let text = [TypeId::of::<ImmutableString>(), TypeId::of::<String>(), TypeId::of::<&'static str>()];
    parameter == id || parameter == TypeId::of::<Dynamic>() || (value == Type::Text && text.contains(&parameter))
}

/// How the documentation writes a function, with all its forms; `name` as one writes it: `random::int`.
#[must_use]
pub fn signatures(name: &str) -> Vec<&'static str> {
    let docs = TABLE.iter().flat_map(|module| module.docs);
    docs.filter(|doc| doc.names().any(|known| known == name)).map(|doc| doc.signature).collect()
}

/// The names in the documentation of the members of something: `response` gives `status`.
#[must_use]
pub fn documented_members(owner: &str) -> Vec<&'static str> {
    let names = TABLE.iter().flat_map(|module| module.docs).flat_map(FunctionDoc::names);
    names.filter_map(|name| name.strip_prefix(owner)?.strip_prefix('.')).collect()
}
