//! The path language of XML: the part of XPath 1.0 that finds things.
//!
//! ```text
//! /shop/item[2]/@id          from the top: steps down, by number from 1, an attribute
//! //item                     wherever it stands
//! //item[@id='7']/name       by an attribute's value; also != < > <= >= with numbers, and several with `and`
//! item[price > 10]           from where one is; by what an element in it says
//! //item[contains(name, 'pen')]   also starts-with(...)
//! *  @*  text()  .  ..  [last()]
//! soap:Body                  with a prefix as the document writes it; a name without one is met under any prefix
//! ```
//!
//! Other axes, unions and arithmetic are left out: a script has better words for them.

use super::tree::{Kind, Tree};

/// How long a path may be, in bytes.
const LENGTH_MAX: usize = 1024;

/// How deep paths may stand in conditions of paths.
const NESTING_MAX: usize = 4;

/// A parsed path.
#[derive(Clone, Debug, PartialEq)]
pub struct XmlPath {
    from_top: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    /// Whether it looks at all depths (`//`).
    anywhere: bool,
    test: Test,
    conditions: Vec<Condition>,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    Element { prefix: Option<Box<str>>, name: Box<str> },
    AnyElement,
    Attribute(Box<str>),
    AnyAttribute,
    Text,
    Itself,
    Parent,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Position(usize),
    Last,
    All(Vec<Comparison>),
}

#[derive(Clone, Debug, PartialEq)]
struct Comparison {
    path: XmlPath,
    how: How,
}

#[derive(Clone, Debug, PartialEq)]
enum How {
    Exists,
    Text(Operator, Box<str>),
    Number(Operator, f64),
    Contains(Box<str>),
    StartsWith(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Operator {
    Equal,
    Differs,
    Less,
    More,
    AtMost,
    AtLeast,
}

/// Why a text is not a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a path into XML: {problem}, at position {position}")]
pub struct XmlPathError {
    path: String,
    problem: &'static str,
    position: usize,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// The document, an element or a text.
    Node(usize),
    /// An attribute of an element, by its number.
    Attribute(usize, usize),
}

impl Found {
    /// All its text.
    #[must_use]
    pub fn text(self, tree: &Tree) -> String {
        match self {
            Self::Node(node) => tree.text(node),
            Self::Attribute(node, attribute) => {
                let attributes = tree.element(node).map(|element| &element.attributes);
                attributes.and_then(|all| all.get(attribute)).map_or_else(String::new, |(_, value)| value.to_string())
            }
        }
    }
}

impl XmlPath {
    /// Parses a path.
    ///
    /// # Errors
    /// When the text is not a path; the error says where and why.
    pub fn parse(text: &str) -> Result<Self, XmlPathError> {
        let mut parser = Parser { text, at: 0 };
        let parsed = if text.len() > LENGTH_MAX { Err("it is longer than 1024 bytes") } else { parser.whole() };
        parsed.map_err(|problem| XmlPathError {
            path: text.chars().take(80).collect(),
            problem,
            position: text[..parser.at].chars().count() + 1,
        })
    }

    /// What it leads to from a node, in the order of the document.
    #[must_use]
    pub fn find(&self, tree: &Tree, from: usize) -> Vec<Found> {
        let mut here = vec![if self.from_top { 0 } else { from }];
        let mut found: Vec<Found> = here.iter().copied().map(Found::Node).collect();
        for step in &self.steps {
            if step.anywhere {
                here = all_in(tree, &here);
            }
            found.clear();
            for &node in &here {
                let mut met: Vec<Found> = step.test.met(tree, node);
                for condition in &step.conditions {
                    condition.filter(tree, &mut met);
                }
                found.append(&mut met);
            }
            found.sort_unstable();
            found.dedup();
            here = found
                .iter()
                .filter_map(|found| if let Found::Node(node) = found { Some(*node) } else { None })
                .collect();
        }
        found
    }
}

/// These nodes and all that is in them, each once and in order; the nodes are in order.
fn all_in(tree: &Tree, nodes: &[usize]) -> Vec<usize> {
    let mut all = Vec::new();
    let mut reached = 0;
    for &node in nodes {
        let end = tree.node(node).end;
        all.extend(node.max(reached)..end.max(reached));
        reached = reached.max(end);
    }
    all
}

impl Test {
    fn met(&self, tree: &Tree, node: usize) -> Vec<Found> {
        let children = |fits: &dyn Fn(usize) -> bool| -> Vec<Found> {
            tree.children(node).filter(|&child| fits(child)).map(Found::Node).collect()
        };
        match self {
            Self::Element { prefix, name } => children(&|child| {
                tree.element(child).is_some_and(|element| {
                    element.name == *name && prefix.as_ref().is_none_or(|prefix| *prefix == element.prefix)
                })
            }),
            Self::AnyElement => children(&|child| tree.element(child).is_some()),
            Self::Text => children(&|child| matches!(tree.node(child).kind, Kind::Text(_))),
            Self::Itself => vec![Found::Node(node)],
            Self::Parent if node == 0 => Vec::new(),
            Self::Parent => vec![Found::Node(tree.node(node).parent)],
            Self::Attribute(_) | Self::AnyAttribute => {
                let attributes = tree.element(node).map(|element| &*element.attributes).unwrap_or_default();
                let named = attributes.iter().enumerate().filter(|(_, (name, _))| match self {
                    Self::Attribute(wanted) => name == wanted,
                    _ => true,
                });
                named.map(|(index, _)| Found::Attribute(node, index)).collect()
            }
        }
    }
}

impl Condition {
    fn filter(&self, tree: &Tree, met: &mut Vec<Found>) {
        match self {
            Self::Position(number) => *met = met.get(number.wrapping_sub(1)).copied().into_iter().collect(),
            Self::Last => *met = met.last().copied().into_iter().collect(),
            Self::All(comparisons) => {
                met.retain(|&found| comparisons.iter().all(|comparison| comparison.holds(tree, found)));
            }
        }
    }
}

impl Comparison {
    fn holds(&self, tree: &Tree, found: Found) -> bool {
        let meant = match found {
            Found::Node(node) => self.path.find(tree, node),
            // Of an attribute there is only itself.
            Found::Attribute(..) if self.path.steps.iter().all(|step| step.test == Test::Itself) => vec![found],
            Found::Attribute(..) => Vec::new(),
        };
        meant.into_iter().any(|found| match &self.how {
            How::Exists => true,
            How::Text(Operator::Equal, text) => found.text(tree) == **text,
            How::Text(_, text) => found.text(tree) != **text,
            How::Contains(text) => found.text(tree).contains(&**text),
            How::StartsWith(text) => found.text(tree).starts_with(&**text),
            How::Number(operator, number) => found.text(tree).trim().parse::<f64>().is_ok_and(|value| match operator {
                Operator::Equal => value == *number,
                Operator::Differs => value != *number,
                Operator::Less => value < *number,
                Operator::More => value > *number,
                Operator::AtMost => value <= *number,
                Operator::AtLeast => value >= *number,
            }),
        })
    }
}

type Parsed<T> = Result<T, &'static str>;

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        let is_it = self.rest().starts_with(token);
        self.at += if is_it { token.len() } else { 0 };
        is_it
    }

    fn whole(&mut self) -> Parsed<XmlPath> {
        self.space();
        let path = self.path(0)?;
        self.space();
        if self.rest().is_empty() { Ok(path) } else { Err("expected `/`, `[` or the end") }
    }

    fn path(&mut self, depth: usize) -> Parsed<XmlPath> {
        let mut path = XmlPath { from_top: self.rest().starts_with('/'), steps: Vec::new() };
        let mut anywhere = self.take("//");
        if !anywhere && self.take("/") && self.ends_path() {
            return Ok(path);
        }
        loop {
            let step = self.step(anywhere, depth)?;
            path.steps.push(step);
            anywhere = self.take("//");
            if !anywhere && !self.take("/") {
                return Ok(path);
            }
        }
    }

    fn ends_path(&self) -> bool {
        self.rest().trim_start().is_empty()
    }

    fn step(&mut self, anywhere: bool, depth: usize) -> Parsed<Step> {
        let test = if self.take("..") {
            Test::Parent
        } else if self.take(".") {
            Test::Itself
        } else if self.take("@*") {
            Test::AnyAttribute
        } else if self.take("@") {
            Test::Attribute(self.name()?.into())
        } else if self.take("*") {
            Test::AnyElement
        } else if self.take("text()") {
            Test::Text
        } else {
            let name = self.name()?;
            if self.rest().starts_with("::") || self.rest().starts_with('(') {
                return Err("axes and functions such as this one do not exist here");
            }
            match name.split_once(':') {
                Some((prefix, name)) => Test::Element { prefix: Some(prefix.into()), name: name.into() },
                None => Test::Element { prefix: None, name: name.into() },
            }
        };
        let mut conditions = Vec::new();
        while self.take("[") {
            if depth >= NESTING_MAX {
                return Err("conditions nest too deep");
            }
            self.space();
            conditions.push(self.condition(depth + 1)?);
            self.space();
            if !self.take("]") {
                return Err("expected `]`");
            }
        }
        Ok(Step { anywhere, test, conditions })
    }

    fn name(&mut self) -> Parsed<&'a str> {
        let rest = self.rest();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let mut end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        // One colon belongs to it, two are an axis.
        if let Some(after) = rest[end..].strip_prefix(':').filter(|after| after.starts_with(is_part)) {
            end += 1 + after.find(|c| !is_part(c)).unwrap_or(after.len());
        }
        if !rest.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            return Err("expected a name, `@name`, `*`, `text()`, `.` or `..`");
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn condition(&mut self, depth: usize) -> Parsed<Condition> {
        let digits = self.rest().find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest().len());
        if digits > 0 {
            let number = self.rest()[..digits].parse().ok().filter(|&number| number > 0);
            let number = number.ok_or("elements are numbered from 1")?;
            self.at += digits;
            return Ok(Condition::Position(number));
        }
        if self.take("last()") {
            return Ok(Condition::Last);
        }
        let mut all = vec![self.comparison(depth)?];
        loop {
            let before = self.at;
            self.space();
            if !(self.take("and ") || self.take("and\t")) {
                self.at = before;
                return Ok(Condition::All(all));
            }
            self.space();
            all.push(self.comparison(depth)?);
        }
    }

    fn comparison(&mut self, depth: usize) -> Parsed<Comparison> {
        for (function, made) in [("contains(", How::Contains as fn(_) -> _), ("starts-with(", How::StartsWith)] {
            if self.take(function) {
                self.space();
                let path = self.path(depth)?;
                self.space();
                if !self.take(",") {
                    return Err("expected `,` and a text");
                }
                self.space();
                let text = self.quoted()?.ok_or("expected a text in quotes")?;
                self.space();
                return if self.take(")") { Ok(Comparison { path, how: made(text) }) } else { Err("expected `)`") };
            }
        }
        let path = self.path(depth)?;
        let before = self.at;
        self.space();
        let operators = [
            ("!=", Operator::Differs),
            ("<=", Operator::AtMost),
            (">=", Operator::AtLeast),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::More),
        ];
        let Some((_, operator)) = operators.into_iter().find(|(token, _)| self.take(token)) else {
            self.at = before;
            return Ok(Comparison { path, how: How::Exists });
        };
        self.space();
        if let Some(text) = self.quoted()? {
            return match operator {
                Operator::Equal | Operator::Differs => Ok(Comparison { path, how: How::Text(operator, text) }),
                _ => Err("texts are compared by `=` and `!=` alone"),
            };
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-'))).unwrap_or(rest.len());
        let number = rest[..end].parse().map_err(|_| "expected a text in quotes, or a number")?;
        self.at += end;
        Ok(Comparison { path, how: How::Number(operator, number) })
    }

    /// A text in quotes, if one begins here.
    fn quoted(&mut self) -> Parsed<Option<Box<str>>> {
        let Some(quote) = self.rest().chars().next().filter(|c| matches!(c, '"' | '\'')) else { return Ok(None) };
        let inside = &self.rest()[1..];
        let end = inside.find(quote).ok_or("a text has no closing quote")?;
        self.at += end + 2;
        Ok(Some(inside[..end].into()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SHOP: &str = "<shop xmlns:m='urn:m'><item id='1'><name>pen</name><price>1.5</price></item>\
        <item id='2' m:new='yes'><name>red ink</name><price>12</price></item><m:item id='3'><name/></m:item>\
        <box><item id='4'><name>pencil</name></item><item id='5'/></box></shop>";

    fn find(path: &str) -> Vec<String> {
        let tree = Tree::parse(SHOP).unwrap();
        let path = XmlPath::parse(path).unwrap_or_else(|error| panic!("{error}"));
        path.find(&tree, 1).into_iter().map(|found| found.text(&tree)).collect()
    }

    #[test]
    fn a_path_finds_what_it_says() {
        for (path, expected) in [
            ("/shop/item/@id", &["1", "2", "3"][..]),
            ("/shop/item[2]/@id", &["2"]),
            ("item[last()]/@id", &["3"]),
            ("//item/@id", &["1", "2", "3", "4", "5"]),
            ("//item[1]/@id", &["1", "4"]),
            ("/shop/m:item/@id", &["3"]),
            ("//x:item/@id", &[]),
            ("//item[@id='4']/name", &["pencil"]),
            ("//item[@id=4]/name", &["pencil"]),
            ("//item[@id != '1' and name]/@id", &["2", "3", "4"]),
            ("//item[price > 10]/name", &["red ink"]),
            ("//item[price<=1.5]/@id", &["1"]),
            ("//item[contains(name, 'pen')]/@id", &["1", "4"]),
            ("//item[starts-with(name, \"red\")]/@id", &["2"]),
            ("//name[.='pen']/../@id", &["1"]),
            ("//item[name='pen'][price]/@id", &["1"]),
            ("//item[not]/@id", &[]),
            ("item[1]/*", &["pen", "1.5"]),
            ("item[2]/@*", &["2", "yes"]),
            ("//@m:new", &["yes"]),
            ("item/name/text()", &["pen", "red ink"]),
            ("box//@id", &["4", "5"]),
            ("//box//item/@id", &["4", "5"]),
            ("//item[name[contains(., 'cil')]]/@id", &["4"]),
            ("//@id[.='2']", &["2"]),
            (".", &["pen1.5red ink12pencil"]),
            ("/", &["pen1.5red ink12pencil"]),
            ("../..", &[]),
            ("/nothing/here", &[]),
        ] {
            assert_eq!(find(path), expected, "{path}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (path, told) in [
            ("", "expected a name, `@name`, `*`, `text()`, `.` or `..`, at position 1"),
            ("/a/", "expected a name, `@name`, `*`, `text()`, `.` or `..`, at position 4"),
            ("/a[0]", "elements are numbered from 1, at position 4"),
            ("/a[b", "expected `]`, at position 5"),
            ("/a[@b='c]", "a text has no closing quote, at position 7"),
            ("/a[@b=c]", "expected a text in quotes, or a number, at position 7"),
            ("/a[@b<'c']", "texts are compared by `=` and `!=` alone, at position 10"),
            ("/a b", "expected `/`, `[` or the end, at position 4"),
            ("/child::a", "axes and functions such as this one do not exist here, at position 7"),
            ("count(//a)", "axes and functions such as this one do not exist here, at position 6"),
            ("a[b[c[d[e[f]]]]]", "conditions nest too deep, at position 11"),
        ] {
            assert_eq!(
                XmlPath::parse(path).unwrap_err().to_string(),
                format!("`{path}` is not a path into XML: {told}")
            );
        }
        assert!(XmlPath::parse(&"a".repeat(LENGTH_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn fuzz_no_path_does_harm(path in "(//?|item|name|m:|@id|@?[*]|[.]{1,2}|\\[|\\]|text\\(\\)|last\\(\\)|contains\\(|,|'pen'|and |[=<>!1-9 ]|\\PC){0,20}") {
            if let Ok(path) = XmlPath::parse(&path) {
                let tree = Tree::parse(SHOP).unwrap();
                let found = path.find(&tree, 1);
                prop_assert!(found.is_sorted());
            }
        }
    }
}
