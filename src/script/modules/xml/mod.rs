//! `xml`: documents as trees ([`tree`]), in which paths find things ([`path`]): feeds, SOAP, sitemaps.
//!
//! A document is parsed once, on the worker's stack, and kept with its response; paths are remembered by their text.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map};

use super::{FunctionDoc, HostModule, HostResult, Natives, define, publish};
use crate::script::bridge::on_worker_stack;
use crate::script::context::HostContext;
use crate::script::error::host_error;
use crate::script::worker_cache::WorkerCache;

pub mod path;
pub mod tree;

use path::{Found, XmlPath};
use tree::{Kind, Tree};

/// How many parsed paths a worker remembers.
const PATHS_MAX: usize = 256;

/// The module.
pub const MODULE: HostModule =
    HostModule { name: "xml", summary: "XML documents: one field out, or all that fit.", docs: DOCS, register };

const PATH: (&str, &str) = (
    "path",
    "the part of XPath that finds things: `/shop/item[2]/@id`, `//item[@id='7']/name`, `//item[price > 10 and contains(name, 'pen')]`, `*`, `@*`, `text()`, `.`, `..`, `[last()]`; a name with a prefix is met as the document writes it, one without is met under any prefix",
);
const ERRORS: &str = "when the path is not one";

const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "xml::parse(text) -> XmlNode",
        summary: "A document. Responses have `res.xml()` for this.",
        parameters: &[("text", "the document")],
        errors: "when it is not well-formed, defines entities of its own, is longer than 16 MiB, nests deeper than 512 levels, or has more than 500,000 nodes",
        example: "
            let feed = xml::parse(`<rss><channel><item><title>One</title></item><item><title>Two</title></item></channel></rss>`);
            assert_eq(feed.find_all(\"//item/title\").map(|title| title.text()), [\"One\", \"Two\"]);
            let answer = xml::parse(`<s:Envelope xmlns:s=\"urn:s\"><s:Body><price currency=\"EUR\">9.5</price></s:Body></s:Envelope>`);
            assert_eq(answer.get(\"/s:Envelope/s:Body/price/@currency\"), \"EUR\");
            assert_error(|| xml::parse(\"<a><b></a>\"), \"is not XML\");
            assert_error(|| xml::parse(`<!DOCTYPE a [<!ENTITY b \"c\">]><a/>`), \"defines entities\");
        ",
    },
    FunctionDoc {
        signature: "xmlnode.get(path) -> string",
        summary: "The text of the first that a path finds, `()` where it finds nothing.",
        parameters: &[PATH],
        errors: ERRORS,
        example: "
            let shop = xml::parse(`<shop><item id=\"1\"><name>Pen</name></item><item id=\"2\"><name>Ink</name></item></shop>`);
            assert_eq(shop.get(\"/shop/item[2]/@id\"), \"2\");
            assert_eq(shop.get(\"//item[@id='1']/name\"), \"Pen\");
            assert_eq(shop.get(\"//nothing\"), ());
            assert_error(|| shop.get(\"/shop/item[\"), \"is not a path into XML\");
        ",
    },
    FunctionDoc {
        signature: "xmlnode.find(path) -> XmlNode",
        summary: "The first that a path finds: an element, or of an attribute or `text()` its text; `()` where it finds nothing.",
        parameters: &[PATH],
        errors: ERRORS,
        example: "
            let shop = xml::parse(`<shop><item id=\"1\"><name>Pen</name></item></shop>`);
            assert_eq(shop.find(\"//item\").get(\"name\"), \"Pen\");
            assert_eq(shop.find(\"//item/@id\"), \"1\");
        ",
    },
    FunctionDoc {
        signature: "xmlnode.find_all(path) -> array",
        summary: "All that a path finds, in the document's order: elements, or texts of attributes and of `text()`.",
        parameters: &[PATH],
        errors: ERRORS,
        example: "
            let shop = xml::parse(`<shop><item id=\"1\"/><item id=\"2\"/></shop>`);
            assert_eq(shop.find_all(\"//item/@id\"), [\"1\", \"2\"]);
            assert_eq(shop.find_all(\"//item\").len, 2);
        ",
    },
    FunctionDoc {
        signature: "xmlnode.name() -> string",
        summary: "The name of an element, with its prefix; empty for the document.",
        parameters: &[],
        errors: "",
        example: "assert_eq(xml::parse(`<a><b/></a>`).find(\"/a/b\").name(), \"b\");",
    },
    FunctionDoc {
        signature: "xmlnode.text() -> string",
        summary: "All the text in it, as it stands.",
        parameters: &[],
        errors: "",
        example: "assert_eq(xml::parse(`<a>1 &lt; <b>2</b></a>`).text(), \"1 < 2\");",
    },
    FunctionDoc {
        signature: "xmlnode.attr(name) -> string",
        summary: "An attribute, `()` where it has none of that name.",
        parameters: &[("name", "with its prefix, where it has one")],
        errors: "",
        example: "assert_eq(xml::parse(`<a id=\"7\"/>`).find(\"/a\").attr(\"id\"), \"7\");",
    },
    FunctionDoc {
        signature: "xmlnode.attrs() -> map",
        summary: "All its attributes.",
        parameters: &[],
        errors: "",
        example: "assert_eq(xml::parse(`<a id=\"7\"/>`).find(\"/a\").attrs(), #{ id: \"7\" });",
    },
    FunctionDoc {
        signature: "xmlnode.children() -> array",
        summary: "The elements directly in it.",
        parameters: &[],
        errors: "",
        example: "assert_eq(xml::parse(`<a><b/>text<c/></a>`).find(\"/a\").children().map(|child| child.name()), [\"b\", \"c\"]);",
    },
];

/// A document or an element of it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct XmlNode {
    tree: Rc<Tree>,
    node: usize,
}

impl XmlNode {
    /// The whole of a document.
    #[must_use]
    pub fn whole(tree: Rc<Tree>) -> Self {
        Self { tree, node: 0 }
    }

    fn value(&self, found: Found) -> Dynamic {
        match found {
            Found::Node(node) if !matches!(self.tree.node(node).kind, Kind::Text(_)) => {
                Dynamic::from(Self { tree: Rc::clone(&self.tree), node })
            }
            text => text.text(&self.tree).into(),
        }
    }

    fn name(&self) -> String {
        match self.tree.element(self.node) {
            Some(element) if element.prefix.is_empty() => element.name.to_string(),
            Some(element) => format!("{}:{}", element.prefix, element.name),
            None => String::new(),
        }
    }

    fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        let element = self.tree.element(self.node);
        element.into_iter().flat_map(|element| element.attributes.iter()).map(|(name, value)| (&**name, &**value))
    }
}

/// A worker's parsed paths.
#[derive(Clone)]
struct Paths(Rc<WorkerCache<XmlPath>>);

impl Paths {
    fn find(&self, node: &XmlNode, path: &str) -> HostResult<Vec<Found>> {
        let path = self.0.get_or_make(path, XmlPath::parse).map_err(|error| host_error(error.to_string()))?;
        Ok(path.find(&node.tree, node.node))
    }
}

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    define(&mut natives, "parse", |text: ImmutableString| -> HostResult<XmlNode> {
        let tree = on_worker_stack(|| Tree::parse(&text));
        let tree = tree.map_err(|error| host_error(format!("`xml::parse`: the text {error}")))?;
        Ok(XmlNode::whole(Rc::new(tree)))
    });
    publish(engine, context, MODULE.name, natives);

    engine.register_type_with_name::<XmlNode>("XmlNode");
    let paths = Paths(Rc::new(WorkerCache::new(PATHS_MAX)));
    let held = paths.clone();
    engine.register_fn("get", move |node: &mut XmlNode, path: ImmutableString| -> HostResult<Dynamic> {
        on_worker_stack(|| {
            let found = held.find(node, &path)?;
            Ok(found.first().map_or(Dynamic::UNIT, |found| found.text(&node.tree).into()))
        })
    });
    let held = paths.clone();
    engine.register_fn("find", move |node: &mut XmlNode, path: ImmutableString| -> HostResult<Dynamic> {
        on_worker_stack(|| Ok(held.find(node, &path)?.first().map_or(Dynamic::UNIT, |&found| node.value(found))))
    });
    engine.register_fn("find_all", move |node: &mut XmlNode, path: ImmutableString| -> HostResult<Array> {
        on_worker_stack(|| Ok(paths.find(node, &path)?.into_iter().map(|found| node.value(found)).collect()))
    });
    engine.register_fn("name", |node: &mut XmlNode| node.name());
    engine.register_fn("text", |node: &mut XmlNode| on_worker_stack(|| node.tree.text(node.node)));
    engine.register_fn("attr", |node: &mut XmlNode, name: ImmutableString| {
        node.attributes().find(|(known, _)| *known == name.as_str()).map_or(Dynamic::UNIT, |(_, value)| value.into())
    });
    engine.register_fn("attrs", |node: &mut XmlNode| -> Map {
        node.attributes().map(|(name, value)| (name.into(), value.into())).collect()
    });
    engine.register_fn("children", |node: &mut XmlNode| -> Array {
        let elements = node.tree.children(node.node).filter(|&child| node.tree.element(child).is_some());
        elements.map(|child| node.value(Found::Node(child))).collect()
    });
    engine.register_fn("to_string", |node: &mut XmlNode| match node.name() {
        name if name.is_empty() => "an XML document".to_owned(),
        name => format!("<{name}>"),
    });
}
