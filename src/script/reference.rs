//! All that scripts can call, in one shape: host modules (from [`TABLE`]) and the standard library (from the comments of
//! its files). The reference, the search in it and what editors read are made from this.

use serde::Serialize;

use super::library;
use super::modules::{FunctionDoc, HostModule, TABLE};

/// A host module, or a file of the standard library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Section {
    /// `http`, `std/auth`; empty for global functions.
    pub name: String,
    /// What it is for, in a sentence or two.
    pub summary: String,
    /// What more there is to say; paragraphs apart by an empty line.
    pub about: String,
    /// The statement that makes it usable; empty for what is there anyway.
    pub import: String,
    /// Its functions and properties.
    pub functions: Vec<Entry>,
}

/// A function, method or property.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What one calls it, as one writes it: `http::get`, `response.status`. Operators have none.
    pub names: Vec<String>,
    /// `http::get(url) -> Response`; several forms apart by commas.
    pub signature: String,
    /// What it does.
    pub summary: String,
    /// What it is given.
    pub parameters: Vec<Parameter>,
    /// What it gives, where the signature's type does not say it all.
    pub result: String,
    /// When it throws; empty when it never does.
    pub errors: String,
    /// A piece of a script that shows it.
    pub example: String,
}

/// What a function is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// Its name; of several with one meaning, all of them.
    pub name: String,
    /// What it means.
    pub meaning: String,
}

/// Host modules in the order of their table, then the standard library.
#[must_use]
pub fn sections() -> Vec<Section> {
    TABLE.iter().map(of_module).chain(library::sections()).collect()
}

fn of_module(module: &HostModule) -> Section {
    Section {
        name: module.name.to_owned(),
        summary: module.summary.to_owned(),
        about: String::new(),
        import: String::new(),
        functions: module.docs.iter().map(of_function).collect(),
    }
}

fn of_function(doc: &FunctionDoc) -> Entry {
    let mut names: Vec<String> = doc.names().map(str::to_owned).collect();
    names.dedup();
    let parameter = |&(name, meaning): &(&str, &str)| Parameter { name: name.to_owned(), meaning: meaning.to_owned() };
    Entry {
        names,
        signature: doc.signature.to_owned(),
        summary: doc.summary.to_owned(),
        parameters: doc.parameters.iter().map(parameter).collect(),
        result: String::new(),
        errors: doc.errors.to_owned(),
        example: outdented(doc.example),
    }
}

/// A text without the indentation that all its lines share, and without blank lines around it.
fn outdented(text: &str) -> String {
    let lines = || text.lines().skip_while(|line| line.trim().is_empty());
    let indent = lines().filter(|line| !line.trim().is_empty()).map(|line| line.len() - line.trim_start().len()).min();
    let lines: Vec<&str> = lines().map(|line| line.get(indent.unwrap_or(0)..).unwrap_or_default()).collect();
    lines.join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_lose_the_indentation_of_the_table() {
        assert_eq!(outdented("\n        a\n            b\n\n        c\n    "), "a\n    b\n\nc");
        assert_eq!(outdented("a\n  b"), "a\n  b");
        assert_eq!(outdented(""), "");
    }

    #[test]
    fn both_kinds_are_in_it() {
        let sections = sections();
        let entry = |name: &str| {
            let all = sections.iter().flat_map(|section| &section.functions);
            all.filter(|entry| entry.names.iter().any(|known| known == name)).count()
        };
        assert!(entry("http::get") > 0 && entry("auth::login") > 0 && entry("response.status") > 0);
        assert_eq!(entry("http::gett"), 0);
    }
}
