//! What scripts read about `html`.

use crate::script::modules::FunctionDoc;

/// Each function and method.
pub const DOCS: &[FunctionDoc] = &[
    FunctionDoc {
        signature: "html::tags(html, name) -> array",
        summary: "The attributes of each tag of a name, in order: maps from names in lower case to values, entities decoded.",
        parameters: &[
            ("html", "a text, such as a response's body; comments and what is in scripts do not count"),
            ("name", "the tag's name, such as `a`, `input` or `meta`"),
        ],
        errors: "",
        example: "
            let page = \"<a href='/one?a=1&amp;b=2'>1</a> <!-- <a href='/no'> --> <A HREF=/two>2</A>\";
            let links = html::tags(page, \"a\");
            assert_eq(links.len, 2);
            assert_eq(links[0].href, \"/one?a=1&b=2\");
            assert_eq(links[1].href, \"/two\");
        ",
    },
    FunctionDoc {
        signature: "html::resources(html, url) -> array",
        summary: "What a browser loads with a page, each once and in order, as maps of `url` (absolute, without fragment) and `kind`: `css`, `js`, `image`, `font` or `other`. It follows `<base>`; fonts and pictures named in style sheets, frames, and what scripts load are not known to it.",
        parameters: &[("html", "the page's text"), ("url", "where it came from: `response.url`")],
        errors: "when the URL is none",
        example: "
            let page = `<link rel=\"stylesheet\" href=\"/a.css\"><script src=\"b.js\"></script><img src=\"//cdn.test/c.png\">`;
            let found = html::resources(page, \"http://shop.test/list/\");
            assert_eq(found.map(|resource| resource.url),
                [\"http://shop.test/a.css\", \"http://shop.test/list/b.js\", \"http://cdn.test/c.png\"]);
            assert_eq(found.map(|resource| resource.kind), [\"css\", \"js\", \"image\"]);
            assert_error(|| html::resources(page, \"shop.test\"), \"shop.test\");
        ",
    },
    FunctionDoc {
        signature: "html::parse(html) -> Selection",
        summary: "A page as a tree, as browsers make it, also of broken pages. Responses have `res.html()` for this.",
        parameters: &[("html", "the page's text")],
        errors: "when it is longer than 16 MiB, nests deeper than 512 levels, or has more than 200,000 elements",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").len, 2);\nassert_error(|| html::parse(\"<p>\").select(\"p:contains(x)\"), \"is not a CSS selector\");",
    },
    FunctionDoc {
        signature: "selection.select(css) -> Selection",
        summary: "The elements below that fit, in order; may be none.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"#list > .new\").text(), \"Red pen\");\nassert_eq(page.select(\"ul\").select(\"p\").len, 0);\nassert_error(|| page.select(\"li[\"), \"its brackets do not match\");",
    },
    FunctionDoc {
        signature: "selection.filter(css) -> Selection",
        summary: "Those of the elements that fit.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").filter(\".new\").len, 1);",
    },
    FunctionDoc {
        signature: "selection.matches(css) -> bool",
        summary: "Whether one of the elements fits.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").matches(\".new\"), true);\nassert_eq(page.select(\"li\").matches(\"p\"), false);",
    },
    FunctionDoc {
        signature: "selection.closest(css) -> Selection",
        summary: "Of each element the nearest that fits among itself and those around it.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"b\").closest(\"ul\").attr(\"id\"), \"list\");",
    },
    FunctionDoc {
        signature: "selection.parent() -> Selection, selection.parent(css) -> Selection",
        summary: "What each element stands in; of these, those that fit.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"b\").parent().name(), \"li\");",
    },
    FunctionDoc {
        signature: "selection.children() -> Selection, selection.children(css) -> Selection",
        summary: "The elements directly in each element; of these, those that fit.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"ul\").children(\".new\").len, 1);",
    },
    FunctionDoc {
        signature: "selection.siblings() -> Selection, selection.siblings(css) -> Selection",
        summary: "The elements beside each element; of these, those that fit.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li.new\").siblings().text(), \"Ink\");",
    },
    FunctionDoc {
        signature: "selection.next() -> Selection, selection.next(css) -> Selection",
        summary: "The element after each element; of these, those that fit.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"ul\").next().text(), \"2 in all\");",
    },
    FunctionDoc {
        signature: "selection.previous() -> Selection, selection.previous(css) -> Selection",
        summary: "The element before each element; of these, those that fit.",
        parameters: &[("css", "a CSS selector, as browsers know them: `form#login > input[name=user]`, `li:nth-child(2)`, `a[href^='/cart'], .total`")],
        errors: "when it is not a CSS selector",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"p\").previous().name(), \"ul\");",
    },
    FunctionDoc {
        signature: "selection.first() -> Selection",
        summary: "The first element alone.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").first().text(), \"Red pen\");",
    },
    FunctionDoc {
        signature: "selection.last() -> Selection",
        summary: "The last element alone.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").last().text(), \"Ink\");",
    },
    FunctionDoc {
        signature: "selection.at(index) -> Selection",
        summary: "One element alone; an empty selection where there is none.",
        parameters: &[("index", "from 0; from the end where it is negative")],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").at(1).text(), \"Ink\");\nassert_eq(page.select(\"li\").at(-2).text(), \"Red pen\");\nassert_eq(page.select(\"li\").at(9).is_empty(), true);",
    },
    FunctionDoc {
        signature: "selection.len -> int",
        summary: "How many elements there are.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").len, 2);",
    },
    FunctionDoc {
        signature: "selection.is_empty() -> bool",
        summary: "Whether there are none.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"table\").is_empty(), true);",
    },
    FunctionDoc {
        signature: "selection.to_array() -> array",
        summary: "Each element as a selection by itself, for `map`, `filter` and the like; a loop `for item in selection` needs no array.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nlet classes = page.select(\"li\").to_array().map(|item| item.attr(\"class\"));\nassert_eq(classes, [\"new\", ()]);\nlet texts = [];\nfor item in page.select(\"li\") { texts.push(item.text()); }\nassert_eq(texts, [\"Red pen\", \"Ink\"]);",
    },
    FunctionDoc {
        signature: "selection.text() -> string",
        summary: "The text of the first element and all in it, as people read it: white space runs together, scripts and styles are left out. Empty where there is no element.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").text(), \"Red pen\");\nassert_eq(page.text(), \"Red pen Ink 2 in all\");",
    },
    FunctionDoc {
        signature: "selection.texts() -> array",
        summary: "The text of each element.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").texts(), [\"Red pen\", \"Ink\"]);",
    },
    FunctionDoc {
        signature: "selection.html() -> string",
        summary: "What is in the first element, as HTML; of a page all of it.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").html(), \"Red <b>pen</b>\");",
    },
    FunctionDoc {
        signature: "selection.name() -> string",
        summary: "The name of the first element's tag, in lower case; `()` where there is no element.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\".new\").name(), \"li\");",
    },
    FunctionDoc {
        signature: "selection.attr(name) -> string",
        summary: "An attribute of the first element; `()` where it has none of that name.",
        parameters: &[("name", "the attribute's name")],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"li\").attr(\"class\"), \"new\");\nassert_eq(page.select(\"li\").attr(\"id\"), ());",
    },
    FunctionDoc {
        signature: "selection.attrs() -> map",
        summary: "All attributes of the first element.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<ul id=\"list\"><li class=\"new\">Red <b>pen</b></li><li>Ink</li></ul><p>2 in all</p>`);\nassert_eq(page.select(\"ul\").attrs(), #{ id: \"list\" });",
    },
    FunctionDoc {
        signature: "selection.value() -> string",
        summary: "The value of the first element, which is a form's control: an array where several options are selected; `()` where it has none.",
        parameters: &[],
        errors: "",
        example: "let page = html::parse(`<form><input name=\"user\"><input type=\"hidden\" name=\"token\" value=\"x1\"><select name=\"land\"><option>de</option><option selected>at</option></select></form>`);\nassert_eq(page.select(\"[name=token]\").value(), \"x1\");\nassert_eq(page.select(\"select\").value(), \"at\");",
    },
    FunctionDoc {
        signature: "selection.fields() -> map",
        summary: "What a browser would send of the first form in the selection, or around it, as it stands: names to values, an array where several have one name. Without the button's own.",
        parameters: &[],
        errors: "when there is no form",
        example: "let page = html::parse(`<form><input name=\"user\"><input type=\"hidden\" name=\"token\" value=\"x1\"><select name=\"land\"><option>de</option><option selected>at</option></select></form>`);\nassert_eq(page.select(\"form\").fields(), #{ user: \"\", token: \"x1\", land: \"at\" });\nassert_error(|| page.select(\"p\").fields(), \"no form\");",
    },
];
