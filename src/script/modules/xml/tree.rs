//! An XML document as a tree, within bounds.
//!
//! roxmltree reads it; what it gives borrows from the text, so it is copied into a tree of our own: nodes in document
//! order, each knowing where what is in it ends.

use roxmltree::{Document, ParsingOptions};

/// The most bytes of text that become a tree.
pub const LENGTH_MAX: usize = 16 * 1024 * 1024;

/// How deep elements may nest.
pub const DEPTH_MAX: usize = 512;

/// The most nodes of a document.
pub const NODES_MAX: u32 = 500_000;

/// Why a text is no document that can be looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// It is not well-formed.
    #[error("is not XML: {0}")]
    Malformed(String),
    /// It is too long.
    #[error("is longer than {LENGTH_MAX} bytes: too long for an XML document")]
    TooLong,
    /// Its elements nest too deep.
    #[error("nests XML elements deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// It defines entities, which may make little text very long.
    #[error("defines entities (`<!ENTITY`): that is not read, as a few of them can grow beyond all measure")]
    Entities,
}

/// A node: the document itself, an element, or a text.
#[derive(Debug)]
pub struct Node {
    /// The node that it is in; of the document itself 0.
    pub parent: usize,
    /// The first node after it and all that is in it.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// The document.
    Document,
    /// An element.
    Element(Element),
    /// A text; comments and instructions have none.
    Text(Box<str>),
}

/// An element.
#[derive(Debug)]
pub struct Element {
    /// Its name, without a prefix.
    pub name: Box<str>,
    /// The prefix of its name, as the document writes it; empty where there is none.
    pub prefix: Box<str>,
    /// Its attributes: name with prefix, value.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
}

/// A document; node 0 is the whole of it.
#[derive(Debug)]
pub struct Tree(Vec<Node>);

impl Tree {
    /// Reads a document. Not for a virtual user's own stack.
    ///
    /// # Errors
    /// When it is not well-formed, or beyond the bounds.
    pub fn parse(text: &str) -> Result<Self, XmlError> {
        if text.len() > LENGTH_MAX {
            return Err(XmlError::TooLong);
        }
        // What comes before the first element may be white space, by the carelessness of many servers.
        let text = text.trim_start();
        if memchr::memmem::find(text.as_bytes(), b"<!ENTITY").is_some() {
            return Err(XmlError::Entities);
        }
        if deepest(text.as_bytes()) > DEPTH_MAX {
            return Err(XmlError::TooDeep);
        }
        let options = ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
        let document = Document::parse_with_options(text, options);
        let document = document.map_err(|error| XmlError::Malformed(error.to_string()))?;
        let mut nodes = vec![Node { parent: 0, end: 0, kind: Kind::Document }];
        // The open elements, as nodes of theirs and of ours.
        let mut open = vec![(document.root().id(), 0)];
        for node in document.root().descendants().skip(1) {
            let above = node.parent().map(|parent| parent.id());
            while open.last().is_some_and(|(id, _)| Some(*id) != above) && open.len() > 1 {
                close(&mut nodes, &mut open);
            }
            let parent = open.last().map_or(0, |&(_, ours)| ours);
            let kind = if node.is_element() {
                let prefix = |uri: Option<&str>| uri.and_then(|uri| node.lookup_prefix(uri)).unwrap_or_default();
                let attributes = node.attributes().map(|attribute| {
                    let prefix = prefix(attribute.namespace());
                    let name = match prefix {
                        "" => attribute.name().into(),
                        prefix => format!("{prefix}:{}", attribute.name()).into(),
                    };
                    (name, attribute.value().into())
                });
                Kind::Element(Element {
                    attributes: attributes.collect(),
                    name: node.tag_name().name().into(),
                    prefix: prefix(node.tag_name().namespace()).into(),
                })
            } else if let Some(text) = node.text().filter(|_| node.is_text()) {
                Kind::Text(text.into())
            } else {
                continue;
            };
            open.push((node.id(), nodes.len()));
            nodes.push(Node { parent, end: 0, kind });
        }
        while !open.is_empty() {
            close(&mut nodes, &mut open);
        }
        Ok(Self(nodes))
    }

    /// A node.
    #[must_use]
    pub fn node(&self, index: usize) -> &Node {
        &self.0[index]
    }

    /// A node as an element, where it is one.
    #[must_use]
    pub fn element(&self, index: usize) -> Option<&Element> {
        match &self.0[index].kind {
            Kind::Element(element) => Some(element),
            _ => None,
        }
    }

    /// What is directly in a node.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + use<'_> {
        let end = self.0[index].end;
        let mut next = index + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| {
                next = self.0[child].end;
                child
            })
        })
    }

    /// All the text in a node.
    #[must_use]
    pub fn text(&self, index: usize) -> String {
        let inside = self.0[index..self.0[index].end].iter();
        inside.filter_map(|node| if let Kind::Text(text) = &node.kind { Some(&**text) } else { None }).collect()
    }
}

fn close(nodes: &mut [Node], open: &mut Vec<(roxmltree::NodeId, usize)>) {
    let end = nodes.len();
    if let Some((_, ours)) = open.pop() {
        nodes[ours].end = end;
    }
}

/// How deep the tags of a document nest, whether or not it is well-formed.
fn deepest(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'<', rest) {
        rest = &rest[at + 1..];
        let skip = [(&b"!--"[..], &b"-->"[..]), (b"![CDATA[", b"]]>"), (b"?", b"?>")];
        if let Some((_, end)) = skip.iter().find(|(start, _)| rest.starts_with(start)) {
            rest = memchr::memmem::find(rest, end).map_or(&[], |at| &rest[at + end.len()..]);
            continue;
        }
        let closes = rest.first() == Some(&b'/');
        let is_declaration = rest.first() == Some(&b'!');
        let mut quote = None;
        let end = rest.iter().position(|&byte| {
            match (quote, byte) {
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), byte) if open == byte => quote = None,
                (None, b'>') => return true,
                _ => {}
            }
            false
        });
        let tag = &rest[..end.unwrap_or(rest.len())];
        if closes {
            depth = depth.saturating_sub(1);
        } else if !is_declaration {
            deepest = deepest.max(depth + 1);
            depth += usize::from(!tag.ends_with(b"/"));
        }
        rest = &rest[tag.len()..];
    }
    deepest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_documents_are_refused_at_once() {
        let bomb = "<!DOCTYPE a [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\">]><a>&b;</a>";
        assert_eq!(Tree::parse(bomb).unwrap_err(), XmlError::Entities);
        let spaces: String = (0..50_000).map(|n| format!("<a xmlns:n{n}='u{n}' b='/>'>")).collect();
        for deep in ["<a>".repeat(1_000_000), spaces, "<a b=\"'>\" c='\">'>".repeat(1_000)] {
            assert_eq!(Tree::parse(&deep).unwrap_err(), XmlError::TooDeep);
        }
        let many = format!("<a>{}</a>", "<b/>".repeat(NODES_MAX as usize + 1));
        assert!(matches!(Tree::parse(&many), Err(XmlError::Malformed(_))));
        assert_eq!(Tree::parse(&" ".repeat(LENGTH_MAX + 1)).unwrap_err(), XmlError::TooLong);
    }

    #[test]
    fn usual_documents_are_fine() {
        for text in [
            "\n<?xml version='1.0' encoding='us-ascii'?><!-- <a><a> --><a/>",
            "<!DOCTYPE rss SYSTEM 'rss.dtd'><rss/>",
            "<a><![CDATA[<b><b>]]></a>",
        ] {
            assert!(Tree::parse(text).is_ok(), "{text}");
        }
        let wide = format!("<a>{}</a>", "<b><c/></b>".repeat(10_000));
        assert!(Tree::parse(&wide).is_ok());
        assert!(Tree::parse("<a><b></a>").unwrap_err().to_string().starts_with("is not XML: "));
    }

    #[test]
    fn nodes_know_their_place() {
        let tree = Tree::parse("<a x='1'>t<b>u<!-- c -->v</b><n:c xmlns:n='n' n:y='2'/></a>").unwrap();
        assert_eq!(tree.text(0), "tuv");
        let inside: Vec<usize> = tree.children(1).collect();
        assert_eq!(inside.len(), 3);
        assert_eq!(tree.text(inside[1]), "uv");
        let last = tree.element(inside[2]).unwrap();
        assert_eq!((&*last.prefix, &*last.name, &*last.attributes[0].0), ("n", "c", "n:y"));
        assert_eq!(tree.node(inside[2]).parent, 1);
    }

    proptest! {
        #[test]
        fn fuzz_no_document_does_harm(text in "(<[ab/!?]{0,2}|<a>|</a>|<b x='1'>|</b>|<!\\[CDATA\\[|\\]\\]>|&lt;|[ =\"'>&;]|\\PC){0,40}") {
            if let Ok(tree) = Tree::parse(&text) {
                prop_assert!(tree.children(0).count() >= 1);
            }
        }
    }
}
