//! An HTML page as a tree, made as browsers make it, within bounds.
//!
//! html5ever follows the standard to the letter, also where pages are broken; the tree is scraper's, for its selectors. What
//! the standard leaves open is how much of it there may be: elements that nest without end make the parser slower with
//! each tag, and some broken pages make it write the same elements again and again. So the page is fed to it in pieces,
//! and after each piece is looked at what has become of it.

use std::borrow::Cow;
use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, QualName, driver};
use rustc_hash::FxHashMap;
use scraper::{Html, HtmlTreeSink, Node};

/// The most bytes of text that become a tree.
pub const LENGTH_MAX: usize = 16 * 1024 * 1024;

/// How deep elements may nest: as deep as in the common browsers.
pub const DEPTH_MAX: u32 = 512;

/// The most elements and comments of a page.
pub const NODES_MAX: usize = 200_000;

/// How much is parsed between two looks at the bounds.
const PIECE_BYTES: usize = 4096;

/// The names that scraper has for the nodes of its tree; its own tree has no name for them in public.
pub type NodeId = <HtmlTreeSink as TreeSink>::Handle;

/// Why a text is no page that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// It is too long.
    #[error("is longer than {LENGTH_MAX} bytes: too long for an HTML page")]
    TooLong,
    /// Its elements nest too deep.
    #[error("nests HTML elements deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// It has too many elements.
    #[error("has more than {NODES_MAX} HTML elements")]
    TooMany,
}

/// A page as a tree.
pub struct Page {
    /// The tree.
    pub html: Html,
    /// Whether there are templates, whose contents are no part of the page.
    pub has_templates: bool,
}

impl Page {
    /// Makes a tree of a page. Runs deep: not for a virtual user's own stack.
    ///
    /// # Errors
    /// When the page is larger than the bounds.
    pub fn parse(text: &str) -> Result<Self, PageError> {
        if text.len() > LENGTH_MAX {
            return Err(PageError::TooLong);
        }
        let size = Rc::new(Size::default());
        let sink = Bounded {
            inner: HtmlTreeSink::new(Html::new_document()),
            depths: RefCell::default(),
            size: Rc::clone(&size),
        };
        let mut parser = driver::parse_document(sink, driver::ParseOpts::default());
        let mut rest = text;
        while !rest.is_empty() {
            let mut end = PIECE_BYTES.min(rest.len());
            while !rest.is_char_boundary(end) {
                end -= 1;
            }
            let (piece, after) = rest.split_at(end);
            parser.process(StrTendril::from_slice(piece));
            if size.deepest.get() > DEPTH_MAX {
                return Err(PageError::TooDeep);
            }
            if size.nodes.get() > NODES_MAX {
                return Err(PageError::TooMany);
            }
            rest = after;
        }
        Ok(Self { html: parser.finish(), has_templates: size.has_templates.get() })
    }
}

/// What has become of a page so far.
#[derive(Debug, Default)]
struct Size {
    nodes: Cell<usize>,
    deepest: Cell<u32>,
    has_templates: Cell<bool>,
}

/// A sink that counts.
struct Bounded {
    inner: HtmlTreeSink,
    /// How deep each element is, from 1.
    depths: RefCell<FxHashMap<NodeId, u32>>,
    size: Rc<Size>,
}

impl Bounded {
    fn is_at(&self, child: NodeId, parent: NodeId, below: u32) {
        let mut depths = self.depths.borrow_mut();
        let depth = depths.get(&parent).copied().unwrap_or_default() + below;
        depths.insert(child, depth);
        self.size.deepest.set(self.size.deepest.get().max(depth));
    }

    fn count(&self) {
        self.size.nodes.set(self.size.nodes.get() + 1);
    }
}

impl TreeSink for Bounded {
    type Output = Html;
    type Handle = NodeId;
    type ElemName<'a> = Ref<'a, QualName>;

    fn finish(self) -> Html {
        self.inner.finish()
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn set_quirks_mode(&self, mode: QuirksMode) {
        self.inner.set_quirks_mode(mode);
    }

    fn get_document(&self) -> NodeId {
        self.inner.get_document()
    }

    fn same_node(&self, one: &NodeId, other: &NodeId) -> bool {
        one == other
    }

    fn elem_name<'a>(&'a self, target: &NodeId) -> Ref<'a, QualName> {
        Ref::map(self.inner.0.borrow(), |html| {
            let node = html.tree.get(*target).map(|node| node.value());
            &node.and_then(Node::as_element).expect("the parser asks elements alone for their names").name
        })
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, flags: ElementFlags) -> NodeId {
        self.count();
        if &*name.local == "template" {
            self.size.has_templates.set(true);
        }
        self.inner.create_element(name, attributes, flags)
    }

    fn create_comment(&self, text: StrTendril) -> NodeId {
        self.count();
        self.inner.create_comment(text)
    }

    fn create_pi(&self, target: StrTendril, data: StrTendril) -> NodeId {
        self.count();
        self.inner.create_pi(target, data)
    }

    fn append_doctype_to_document(&self, name: StrTendril, public_id: StrTendril, system_id: StrTendril) {
        self.inner.append_doctype_to_document(name, public_id, system_id);
    }

    fn append(&self, parent: &NodeId, child: NodeOrText<NodeId>) {
        if let NodeOrText::AppendNode(child) = &child {
            self.is_at(*child, *parent, 1);
        }
        self.inner.append(parent, child);
    }

    fn append_before_sibling(&self, sibling: &NodeId, new_node: NodeOrText<NodeId>) {
        if let NodeOrText::AppendNode(child) = &new_node {
            self.is_at(*child, *sibling, 0);
        }
        self.inner.append_before_sibling(sibling, new_node);
    }

    fn append_based_on_parent_node(&self, element: &NodeId, previous: &NodeId, child: NodeOrText<NodeId>) {
        let has_parent = self.inner.0.borrow().tree.get(*element).is_some_and(|node| node.parent().is_some());
        if has_parent {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn remove_from_parent(&self, target: &NodeId) {
        self.inner.remove_from_parent(target);
    }

    fn reparent_children(&self, node: &NodeId, new_parent: &NodeId) {
        self.inner.reparent_children(node, new_parent);
    }

    fn add_attrs_if_missing(&self, target: &NodeId, attributes: Vec<Attribute>) {
        self.inner.add_attrs_if_missing(target, attributes);
    }

    fn get_template_contents(&self, target: &NodeId) -> NodeId {
        let contents = self.inner.get_template_contents(target);
        self.is_at(contents, *target, 0);
        contents
    }

    fn mark_script_already_started(&self, node: &NodeId) {
        self.inner.mark_script_already_started(node);
    }
}

/// Whether a node is within the contents of a template, and so no part of the page.
#[must_use]
pub fn is_in_template(page: &Page, node: NodeId) -> bool {
    page.has_templates
        && page
            .html
            .tree
            .get(node)
            .is_some_and(|node| node.ancestors().any(|above| matches!(above.value(), Node::Fragment)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_pages_are_refused_at_once() {
        let opened: String = (0..300).map(|n| format!("<b id={n}>")).collect();
        for (page, error) in [
            ("<div>".repeat(1_000_000), PageError::TooDeep),
            ("<template>".repeat(1_000_000), PageError::TooDeep),
            ("<table><tr><td>".repeat(300_000), PageError::TooDeep),
            (format!("<svg><g/>{}", "<g>".repeat(1_000_000)), PageError::TooDeep),
            ("<br>".repeat(NODES_MAX + PIECE_BYTES), PageError::TooMany),
            (" ".repeat(LENGTH_MAX + 1), PageError::TooLong),
            // Elements for formatting that were left open are opened again in each paragraph.
            (format!("<p>{opened}{}", "<p>x".repeat(100_000)), PageError::TooMany),
        ] {
            assert_eq!(Page::parse(&page).err(), Some(error), "{}", &page[..20]);
        }
    }

    #[test]
    fn large_pages_are_fine() {
        let list = format!("<ul>{}</ul>", "<li><a href=/x>one</a> ä".repeat(20_000));
        assert!(Page::parse(&list).is_ok());
        let deep = format!("{}{}", "<div>".repeat(500), "</div>".repeat(500));
        assert!(Page::parse(&deep).is_ok());
    }

    proptest! {
        #[test]
        fn fuzz_no_page_does_harm(page in "(<[a-z/!]{0,3}|<table>|<template>|<b>|<p>|</p>|<select>|<svg>|[ =\"'>&;a]|\\PC){0,60}") {
            prop_assert!(Page::parse(&page).is_ok());
        }
    }
}
