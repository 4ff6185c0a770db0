//! `html`: what journeys look for in pages.
//!
//! `html::parse`, and `res.html()`, make a tree of a page ([`page`]), in which CSS selectors find elements ([`selection`])
//! and forms are filled in ([`form`]). Functions that want tags alone, and what a browser would load with a page, need no
//! tree: they take the page apart as browsers do it, comments and the insides of scripts left out, at a fraction of the
//! cost. All of it happens on the worker's stack.

use std::rc::Rc;

use html5gum::{DefaultEmitter, HtmlString, StartTag, Token, Tokenizer};
use rhai::{Array, Dynamic, Engine, ImmutableString, Map};
use rustc_hash::FxHashSet;
use url::Url;

use super::{HostModule, HostResult, Natives, define, publish};
use crate::script::bridge;
use crate::script::context::HostContext;
use crate::script::error::host_error;

mod docs;
pub mod form;
pub mod page;
pub mod selection;

/// The most tags or resources that one call gives.
const FOUND_MAX: usize = 10_000;

/// The module.
pub const MODULE: HostModule = HostModule {
    name: "html",
    summary: "What is in a page: tags with their attributes, and what a browser loads with it.",
    docs: docs::DOCS,
    register,
};

fn register(engine: &mut Engine, context: &HostContext) {
    let mut natives = Natives::default();
    define(&mut natives, "tags", |html: ImmutableString, name: ImmutableString| {
        bridge::on_worker_stack(|| tags(&html, &name))
    });
    define(&mut natives, "resources", |html: ImmutableString, url: ImmutableString| -> HostResult<Array> {
        let page = Url::parse(&url).map_err(|error| host_error(format!("`html::resources`: `{url}`: {error}")))?;
        let found = bridge::on_worker_stack(|| resources(&html, page));
        Ok(found.into_iter().map(Resource::into_value).collect())
    });
    selection::register(engine, &selection::Selectors::default());
    define(&mut natives, "parse", |html: ImmutableString| -> HostResult<selection::Selection> {
        let page = bridge::on_worker_stack(|| page::Page::parse(&html));
        let page = page.map_err(|error| host_error(format!("`html::parse`: the text {error}")))?;
        Ok(selection::Selection::whole(Rc::new(page)))
    });
    publish(engine, context, MODULE.name, natives);
}

/// The tags of a page that begin something, without those in templates and in what browsers with scripts skip.
fn start_tags(html: &str) -> impl Iterator<Item = StartTag<()>> {
    let mut emitter = DefaultEmitter::default();
    // The insides of scripts, styles and the like are text, not tags.
    emitter.naively_switch_states(true);
    let mut templates = 0_usize;
    Tokenizer::new_with_emitter(html, emitter).filter_map(move |token| {
        match token.unwrap_or_else(|never| match never {}) {
            Token::StartTag(tag) => {
                let inside = templates > 0;
                templates += usize::from(*tag.name == b"template" && !tag.self_closing);
                (!inside).then_some(tag)
            }
            Token::EndTag(tag) if *tag.name == b"template" => {
                templates = templates.saturating_sub(1);
                None
            }
            _ => None,
        }
    })
}

fn text_of(bytes: &HtmlString) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(name.as_bytes())?;
    Some(text_of(&value.value))
}

/// Those of one kind, by its name in small letters.
fn tags_named(html: &str, name: &str) -> impl Iterator<Item = StartTag<()>> {
    start_tags(html).filter(move |tag| *tag.name == name.as_bytes()).take(FOUND_MAX)
}

fn tags(html: &str, name: &str) -> Array {
    let wanted = name.to_ascii_lowercase();
    let maps = tags_named(html, &wanted).map(|tag| {
        let pairs = tag.attributes.iter();
        let map: Map = pairs.map(|(name, value)| (text_of(name).into(), text_of(&value.value).into())).collect();
        Dynamic::from_map(map)
    });
    maps.collect()
}

/// What stands in the field of a form: of the first `<input>` of that name. Found on the worker's stack.
#[must_use]
pub fn input_value(html: &str, name: &str) -> Option<String> {
    bridge::on_worker_stack(|| {
        let field = tags_named(html, "input").find(|tag| attribute(tag, "name").is_some_and(|known| known == name))?;
        attribute(&field, "value")
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Resource {
    url: Url,
    kind: &'static str,
}

impl Resource {
    fn into_value(self) -> Dynamic {
        let mut map = Map::new();
        map.insert("url".into(), self.url.as_str().into());
        map.insert("kind".into(), self.kind.into());
        Dynamic::from_map(map)
    }
}

fn resources(html: &str, page: Url) -> Vec<Resource> {
    let mut base = page;
    let mut has_base = false;
    let mut known = FxHashSet::default();
    let mut found = Vec::new();
    for tag in start_tags(html) {
        if *tag.name == b"base" && !has_base {
            if let Some(href) = attribute(&tag, "href").and_then(|href| base.join(href.trim()).ok()) {
                (base, has_base) = (href, true);
            }
            continue;
        }
        let Some((reference, kind)) = reference(&tag) else { continue };
        // An empty reference would be the page itself, which no browser loads again.
        let reference = reference.trim();
        let Some(mut url) = (!reference.is_empty()).then(|| base.join(reference).ok()).flatten() else { continue };
        url.set_fragment(None);
        if !matches!(url.scheme(), "http" | "https") || !known.insert(url.clone()) {
            continue;
        }
        found.push(Resource { url, kind });
        if found.len() == FOUND_MAX {
            break;
        }
    }
    found
}

/// What a tag makes a browser load.
fn reference(tag: &StartTag<()>) -> Option<(String, &'static str)> {
    match tag.name.as_slice() {
        b"script" => {
            let kind = attribute(tag, "type").unwrap_or_default().to_ascii_lowercase();
            let runs =
                kind.is_empty() || kind == "module" || kind.contains("javascript") || kind.contains("ecmascript");
            // Browsers that know modules leave out what is for those that don't.
            let skipped = !runs || tag.attributes.contains_key(b"nomodule".as_slice());
            (!skipped).then(|| attribute(tag, "src")).flatten().map(|src| (src, "js"))
        }
        b"link" => {
            let relation = attribute(tag, "rel")?.to_ascii_lowercase();
            let is = |wanted: &str| relation.split_ascii_whitespace().any(|word| word == wanted);
            let href = attribute(tag, "href")?;
            if is("stylesheet") {
                let unused = is("alternate") || tag.attributes.contains_key(b"disabled".as_slice());
                return (!unused).then_some((href, "css"));
            }
            if is("modulepreload") {
                return Some((href, "js"));
            }
            if is("preload") {
                let kind = match attribute(tag, "as").unwrap_or_default().to_ascii_lowercase().as_str() {
                    "style" => "css",
                    "script" => "js",
                    "image" => "image",
                    "font" => "font",
                    _ => "other",
                };
                return Some((href, kind));
            }
            if is("icon") || is("apple-touch-icon") {
                return Some((href, "image"));
            }
            is("manifest").then_some((href, "other"))
        }
        b"img" => attribute(tag, "src").map(|src| (src, "image")),
        b"input" => {
            let is_image = attribute(tag, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("image"));
            is_image.then(|| attribute(tag, "src")).flatten().map(|src| (src, "image"))
        }
        b"video" => attribute(tag, "poster").map(|poster| (poster, "image")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(html: &str) -> Vec<String> {
        let page = Url::parse("http://shop.test/a/b").unwrap();
        resources(html, page).into_iter().map(|found| format!("{} {}", found.kind, found.url)).collect()
    }

    #[test]
    fn what_browsers_load_is_found() {
        for (html, expected) in [
            ("<link rel='Stylesheet' href=x.css>", "css http://shop.test/a/x.css"),
            ("<link rel='preload' as=font href=/f.woff2 crossorigin>", "font http://shop.test/f.woff2"),
            ("<link rel='shortcut icon' href='/i.ico#x'>", "image http://shop.test/i.ico"),
            ("<link rel=manifest href=m.json>", "other http://shop.test/a/m.json"),
            ("<link rel=modulepreload href=m.js>", "js http://shop.test/a/m.js"),
            ("<SCRIPT type=module SRC=' m.js '></SCRIPT>", "js http://shop.test/a/m.js"),
            ("<script type='text/javascript' src=j.js></script>", "js http://shop.test/a/j.js"),
            ("<img src='?w=1&amp;h=2'>", "image http://shop.test/a/b?w=1&h=2"),
            ("<input type=IMAGE src=s.png>", "image http://shop.test/a/s.png"),
            ("<video poster=p.jpg src=v.mp4>", "image http://shop.test/a/p.jpg"),
            ("<base href='https://cdn.test/x/'><base href='/no/'><img src=i.png>", "image https://cdn.test/x/i.png"),
        ] {
            assert_eq!(loaded(html), [expected], "{html}");
        }
    }

    #[test]
    fn what_browsers_do_not_load_is_left_out() {
        for html in [
            "<!-- <img src=x.png> -->",
            "<noscript><img src=x.png></noscript>",
            "<template><img src=x.png><template></template><img src=y.png></template>",
            "<script>document.write('<img src=x.png>')</script>",
            "<textarea><img src=x.png></textarea>",
            "<script type='application/json' src=x.json></script>",
            "<script nomodule src=old.js></script>",
            "<link rel='alternate stylesheet' href=x.css>",
            "<link rel=canonical href=/a><a href=/b>b</a><img><img src=''>",
            "<img src='data:image/png;base64,AA=='><img src='http://['>",
            "",
        ] {
            assert_eq!(loaded(html), [""; 0], "{html}");
        }
        assert_eq!(loaded("<img src=x.png><img src='x.png#a'><img src=/a/x.png>").len(), 1, "each once");
    }

    #[test]
    fn broken_pages_do_no_harm() {
        for html in ["<img src=\"x.png", "<", "<img src", "</template><img src=x.png>", "<a\0b>"] {
            let _ = (loaded(html), tags(html, "img"));
        }
        let deep = "<template>".repeat(100_000);
        assert_eq!(loaded(&deep), [""; 0]);
        assert_eq!(tags(&"<p>".repeat(FOUND_MAX + 1), "p").len(), FOUND_MAX);
    }
}
