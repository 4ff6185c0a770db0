//! Elements of a page, as scripts handle them: found by CSS selectors, walked from one to another, read.

use std::rc::Rc;

use rhai::{Array, Dynamic, Engine, INT, ImmutableString, Map};
use rustc_hash::FxHashSet;
use scraper::{ElementRef, Node, Selector};

use super::form::Form;
use super::page::{NodeId, Page, is_in_template};
use crate::script::bridge::on_worker_stack;
use crate::script::error::host_error;
use crate::script::modules::HostResult;
use crate::script::worker_cache::WorkerCache;

/// How many parsed selectors a worker remembers.
const SELECTORS_MAX: usize = 256;

/// How long a selector may be, in bytes.
const SELECTOR_LENGTH_MAX: usize = 1024;

/// Elements around which no space comes into the text.
const INLINE: [&str; 34] = [
    "a", "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd",
    "label", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var",
    "wbr", "ruby", "html",
];

/// Elements of a page, in the order in which they stand there; or the page itself. Cheap to clone.
#[derive(Clone)]
pub struct Selection {
    page: Rc<Page>,
    nodes: Rc<[NodeId]>,
}

/// A worker's parsed selectors.
#[derive(Clone)]
pub struct Selectors(Rc<WorkerCache<Selector>>);

impl Default for Selectors {
    fn default() -> Self {
        Self(Rc::new(WorkerCache::new(SELECTORS_MAX)))
    }
}

impl Selectors {
    /// A selector by its text. Runs deep.
    ///
    /// # Errors
    /// When the text is not a CSS selector.
    pub fn get(&self, text: &str) -> HostResult<Rc<Selector>> {
        self.0
            .get_or_make(text, |text| match text.len() > SELECTOR_LENGTH_MAX {
                true => Err(format!("longer than {SELECTOR_LENGTH_MAX} bytes")),
                false => Selector::parse(text).map_err(|_| what_is_wrong(text).to_owned()),
            })
            .map_err(|problem| {
                let shown: String = text.chars().take(80).collect();
                host_error(format!("`{shown}` is not a CSS selector: {problem}"))
            })
    }
}

/// What is most likely wrong with a selector; the parser's own words are about its tokens.
fn what_is_wrong(text: &str) -> &'static str {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        "it is empty"
    } else if trimmed.starts_with("//") {
        "this looks like XPath; a selector is such as `form#login > input[name=user]`"
    } else if text.matches('[').count() != text.matches(']').count() {
        "its brackets do not match"
    } else if text.matches('(').count() != text.matches(')').count() {
        "its parentheses do not match"
    } else if trimmed.ends_with([',', '>', '+', '~']) {
        "something is missing at its end"
    } else if text.contains(":contains")
        || text.contains(":eq(")
        || text.contains(":first") && !text.contains(":first-")
    {
        "this is jQuery's alone; use `.first()`, `.at(n)`, or look at the texts in the script"
    } else {
        "it can't be understood, or has a pseudo-class that makes no sense without a browser"
    }
}

impl Selection {
    /// A page as a whole.
    #[must_use]
    pub fn whole(page: Rc<Page>) -> Self {
        let root = page.html.tree.root().id();
        Self { page, nodes: Rc::new([root]) }
    }

    fn of(&self, nodes: Vec<NodeId>) -> Self {
        Self { page: Rc::clone(&self.page), nodes: nodes.into() }
    }

    /// The page that it is of.
    #[must_use]
    pub fn page(&self) -> &Page {
        &self.page
    }

    /// Its elements; of a whole page none.
    pub fn elements(&self) -> impl Iterator<Item = ElementRef<'_>> {
        self.nodes.iter().filter_map(|&id| element(&self.page, id))
    }

    fn is_whole(&self) -> bool {
        self.nodes.first().is_some_and(|&id| id == self.page.html.tree.root().id())
    }

    /// What a selector finds below it.
    ///
    /// # Errors
    /// When it is not a selector.
    pub fn select(&self, selectors: &Selectors, css: &str) -> HostResult<Self> {
        let selector = selectors.get(css)?;
        let is_part = |element: &ElementRef<'_>| !is_in_template(&self.page, element.id());
        if self.is_whole() {
            let found = self.page.html.select(&selector).filter(is_part).map(|element| element.id());
            return Ok(self.of(found.collect()));
        }
        let mut known = FxHashSet::default();
        let below = self.elements().flat_map(|element| element.select(&selector));
        let found = below.filter(is_part).map(|element| element.id()).filter(|&id| known.insert(id));
        Ok(self.of(found.collect()))
    }

    fn filter(&self, selectors: &Selectors, css: &str) -> HostResult<Self> {
        let selector = selectors.get(css)?;
        Ok(self.of(self.elements().filter(|element| selector.matches(element)).map(|element| element.id()).collect()))
    }

    fn matches(&self, selectors: &Selectors, css: &str) -> HostResult<bool> {
        let selector = selectors.get(css)?;
        Ok(self.elements().any(|element| selector.matches(&element)))
    }

    /// The nearest of each element and those around it that fits.
    fn closest(&self, selectors: &Selectors, css: &str) -> HostResult<Self> {
        let selector = selectors.get(css)?;
        Ok(self.each_once(|element| {
            let outwards = std::iter::once(*element).chain(element.ancestors().filter_map(ElementRef::wrap));
            outwards.filter(|element| selector.matches(element)).map(|element| element.id()).take(1).collect()
        }))
    }

    /// What each element leads to, each once.
    fn each_once(&self, mut to: impl FnMut(&ElementRef<'_>) -> Vec<NodeId>) -> Self {
        let mut known = FxHashSet::default();
        let found = self.elements().flat_map(|element| to(&element)).filter(|&id| known.insert(id));
        let found = found.collect();
        self.of(found)
    }

    fn parent(&self) -> Self {
        self.each_once(|element| {
            element.parent().and_then(ElementRef::wrap).map(|parent| parent.id()).into_iter().collect()
        })
    }

    fn children(&self) -> Self {
        if self.is_whole() {
            let top = self.page.html.tree.root().children().filter_map(ElementRef::wrap).map(|element| element.id());
            return self.of(top.collect());
        }
        self.each_once(|element| element.child_elements().map(|child| child.id()).collect())
    }

    fn siblings(&self) -> Self {
        self.each_once(|element| {
            let all = element.parent().into_iter().flat_map(|parent| parent.children()).filter_map(ElementRef::wrap);
            all.map(|sibling| sibling.id()).filter(|&id| id != element.id()).collect()
        })
    }

    fn next(&self) -> Self {
        self.each_once(|element| {
            element.next_siblings().find_map(ElementRef::wrap).map(|next| next.id()).into_iter().collect()
        })
    }

    fn previous(&self) -> Self {
        self.each_once(|element| {
            element.prev_siblings().find_map(ElementRef::wrap).map(|previous| previous.id()).into_iter().collect()
        })
    }

    /// Its element at a place, counted from the end where it is negative; empty where there is none.
    #[must_use]
    pub fn at(&self, index: INT) -> Self {
        let index = if index < 0 { index + self.nodes.len() as INT } else { index };
        let found = usize::try_from(index).ok().and_then(|index| self.nodes.get(index));
        self.of(found.into_iter().copied().collect())
    }

    fn attribute(&self, name: &str) -> Dynamic {
        let name = name.to_ascii_lowercase();
        self.elements().next().and_then(|first| first.attr(&name)).map_or(Dynamic::UNIT, Into::into)
    }

    fn attributes(&self) -> Map {
        let first = self.elements().next();
        first.iter().flat_map(|first| first.value().attrs()).map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn inner_html(&self) -> String {
        if self.is_whole() {
            return self.page.html.html();
        }
        self.elements().next().map_or_else(String::new, |first| first.inner_html())
    }

    /// The text of its first element, as people read it.
    #[must_use]
    pub fn text(&self) -> String {
        self.nodes.first().map_or_else(String::new, |&id| text_of(&self.page, id))
    }

    fn texts(&self) -> Vec<String> {
        self.nodes.iter().map(|&id| text_of(&self.page, id)).collect()
    }

    /// The value of a form's control.
    fn value(&self) -> Dynamic {
        let mut values = self.elements().next().map(super::form::value_of).unwrap_or_default();
        match values.len() {
            0 => Dynamic::UNIT,
            1 => values.remove(0).into(),
            _ => values.into_iter().map(Dynamic::from).collect::<Array>().into(),
        }
    }

    /// The first form in it, or around its first element.
    pub fn form(&self) -> Option<Form> {
        let is_form = |element: &ElementRef<'_>| element.value().name() == "form";
        let first = self.elements().next();
        let form =
            self.elements().find(is_form).or_else(|| first?.ancestors().filter_map(ElementRef::wrap).find(is_form));
        form.map(|form| Form::read(&self.page, form))
    }

    fn fields(&self) -> HostResult<Map> {
        let form = self.form();
        let form = form.ok_or_else(|| host_error("there is no form in what was selected, so it has no `fields`"))?;
        Ok(form.fields())
    }
}

fn element(page: &Page, id: NodeId) -> Option<ElementRef<'_>> {
    page.html.tree.get(id).and_then(ElementRef::wrap)
}

/// The text of a node as people read it: white space runs together, blocks are parted by a space, scripts and styles are
/// left out.
fn text_of(page: &Page, id: NodeId) -> String {
    use scraper::node::Element;
    let is_unseen = |element: &Element| matches!(element.name(), "script" | "style" | "template" | "noscript");
    let mut out = String::new();
    let Some(root) = page.html.tree.get(id) else { return out };
    let mut gap = false;
    let mut node = Some(root);
    let mut comes_back = false;
    while let Some(here) = node {
        if !comes_back {
            match here.value() {
                Node::Text(text) => {
                    for c in text.chars() {
                        if c.is_whitespace() {
                            gap = true;
                            continue;
                        }
                        if gap && !out.is_empty() {
                            out.push(' ');
                        }
                        gap = false;
                        out.push(c);
                    }
                }
                Node::Element(element) => gap |= !INLINE.contains(&element.name()),
                _ => {}
            }
            let is_open =
                !matches!(here.value(), Node::Element(element) if is_unseen(element) && here.id() != root.id());
            if let Some(child) = here.first_child().filter(|_| is_open) {
                node = Some(child);
                continue;
            }
        }
        if let Node::Element(element) = here.value() {
            gap |= !INLINE.contains(&element.name());
        }
        if here.id() == root.id() {
            break;
        }
        comes_back = here.next_sibling().is_none();
        node = here.next_sibling().or_else(|| here.parent());
    }
    out
}

impl IntoIterator for Selection {
    type Item = Self;
    type IntoIter = Box<dyn Iterator<Item = Self>>;

    /// Each element by itself.
    fn into_iter(self) -> Self::IntoIter {
        Box::new((0..self.nodes.len()).map(move |index| self.at(index as INT)))
    }
}

/// Registers the type.
pub fn register(engine: &mut Engine, selectors: &Selectors) {
    engine.register_type_with_name::<Selection>("Selection");
    engine.register_iterator::<Selection>();
    macro_rules! by_selector {
        ($name:literal, $method:ident) => {{
            let selectors = selectors.clone();
            engine.register_fn($name, move |s: &mut Selection, css: ImmutableString| {
                on_worker_stack(|| s.$method(&selectors, &css))
            });
        }};
    }
    by_selector!("select", select);
    by_selector!("filter", filter);
    by_selector!("matches", matches);
    by_selector!("closest", closest);
    macro_rules! steps {
        ($name:literal, $method:ident) => {{
            let selectors = selectors.clone();
            engine.register_fn($name, |s: &mut Selection| on_worker_stack(|| s.$method()));
            engine.register_fn($name, move |s: &mut Selection, css: ImmutableString| {
                on_worker_stack(|| s.$method().filter(&selectors, &css))
            });
        }};
    }
    steps!("parent", parent);
    steps!("children", children);
    steps!("siblings", siblings);
    steps!("next", next);
    steps!("previous", previous);
    engine.register_fn("first", |s: &mut Selection| s.at(0));
    engine.register_fn("last", |s: &mut Selection| s.at(-1));
    engine.register_fn("at", |s: &mut Selection, index: INT| s.at(index));
    engine.register_get("len", |s: &mut Selection| s.nodes.len() as INT);
    engine.register_fn("len", |s: &mut Selection| s.nodes.len() as INT);
    engine.register_fn("is_empty", |s: &mut Selection| s.nodes.is_empty());
    engine.register_fn("to_array", |s: &mut Selection| s.clone().into_iter().map(Dynamic::from).collect::<Array>());
    engine.register_fn("text", |s: &mut Selection| on_worker_stack(|| s.text()));
    engine.register_fn("texts", |s: &mut Selection| -> Array {
        on_worker_stack(|| s.texts().into_iter().map(Dynamic::from).collect())
    });
    engine.register_fn("html", |s: &mut Selection| on_worker_stack(|| s.inner_html()));
    engine.register_fn("name", |s: &mut Selection| {
        s.elements().next().map_or(Dynamic::UNIT, |first| first.value().name().into())
    });
    engine.register_fn("attr", |s: &mut Selection, name: ImmutableString| s.attribute(&name));
    engine.register_fn("attrs", |s: &mut Selection| s.attributes());
    engine.register_fn("value", |s: &mut Selection| on_worker_stack(|| s.value()));
    engine.register_fn("fields", |s: &mut Selection| on_worker_stack(|| s.fields()));
    engine.register_fn("to_string", |s: &mut Selection| {
        on_worker_stack(|| match s.is_whole() {
            true => s.inner_html(),
            false => s.elements().map(|element| element.html()).collect::<Vec<_>>().join("\n"),
        })
    });
}
