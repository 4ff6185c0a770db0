//! Looking around the shop: home, product list and product, as pages for people and as JSON; search.

use super::catalogue::{Catalogue, PER_PAGE_MAX, PRODUCTS};
use super::response::{HTML, JSON, Reply, Response};
use super::routes::Call;
use super::shop::key_text;

/// Products on a page of the HTML list.
const PER_PAGE_HTML: u32 = 20;

/// Products on a page of the JSON list unless the request says otherwise.
const PER_PAGE: u32 = 20;

/// Search hits that are listed.
const HITS_MAX: usize = 20;

/// The start of every page.
pub(super) fn page_start(title: &str) -> String {
    page_start_with(title, "")
}

/// The start of a page with more in its head.
pub(super) fn page_start_with(title: &str, head: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>{head}</head>\n<body>\n\
         <nav><a href=\"/\">Home</a> <a href=\"/products\">Products</a> <a href=\"/cart\">Cart</a> \
         <a href=\"/login\">Log in</a></nav>\n<h1>{title}</h1>\n"
    )
}

/// The end of every page.
pub(super) const PAGE_END: &str = "</body>\n</html>\n";

/// Text that is safe between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `GET /`: the home page, with a login form like the one at `/login`.
pub(super) fn home(call: &Call<'_>, response: Response<'_>) -> Reply {
    super::account::form_page(call, response, 200, "loadr demo shop", "")
}

/// `GET /products?page=`: a page of the product list.
pub(super) fn products_page(call: &Call<'_>, response: Response<'_>) -> Reply {
    let page = match call.request.query_number("page", 1u32) {
        Ok(page) if page >= 1 => page,
        Ok(_) => return response.error(400, "`page` must be at least 1"),
        Err(message) => return response.error(400, &message),
    };
    let start = page_start("Products") + "<ul class=\"products\">\n";
    let mut end = String::from("\n</ul>\n<p>");
    if page > 1 {
        end += &format!("<a rel=\"prev\" href=\"/products?page={}\">Previous</a> ", page - 1);
    }
    if page < PRODUCTS.div_ceil(PER_PAGE_HTML) {
        end += &format!("<a rel=\"next\" href=\"/products?page={}\">Next</a>", page + 1);
    }
    end += "</p>\n";
    let list = call.shop.catalogue.page_html(page, PER_PAGE_HTML);
    response.begin(200).parts(HTML, &[start.as_bytes(), list.as_bytes(), end.as_bytes(), PAGE_END.as_bytes()])
}

/// `GET /product/{id}`: a product's page.
pub(super) fn product_page(call: &Call<'_>, response: Response<'_>) -> Reply {
    let Some(product) = call.parameter.parse().ok().and_then(|id| call.shop.catalogue.product(id)) else {
        let page = page_start("No such product") + "<p>We do not have that.</p>\n" + PAGE_END;
        return response.html(404, page);
    };
    let page = format!(
        "{}<p class=\"price\">{}</p>\n<p class=\"stock\">{} in stock</p>\n\
         <form method=\"post\" action=\"/cart\"><input type=\"hidden\" name=\"id\" value=\"{}\">\
         <input name=\"quantity\" value=\"1\"><button>Add to cart</button></form>\n{PAGE_END}",
        page_start(&product.name),
        super::catalogue::money(product.price_cents),
        product.stock,
        product.id,
    );
    response.html(200, page)
}

/// `GET /item/{id}`: a product in JSON.
pub(super) fn item(call: &Call<'_>, response: Response<'_>) -> Reply {
    match call.parameter.parse().ok().and_then(|id| call.shop.catalogue.product_json(id)) {
        Some(json) => response.json(200, json),
        None => response.error(404, &format!("there is no item `{}`; they run from 1 to {PRODUCTS}", call.parameter)),
    }
}

/// `GET /api/products?page=&per_page=`: a page of the product list in JSON, compressed where the client takes it.
pub(super) fn products(call: &Call<'_>, response: Response<'_>) -> Reply {
    let request = call.request;
    let page = request.query_number("page", 1u32);
    let (page, per_page) = match page.and_then(|page| Ok((page, request.query_number("per_page", PER_PAGE)?))) {
        Ok((page, per_page)) if page >= 1 && (1..=PER_PAGE_MAX).contains(&per_page) => (page, per_page),
        Ok(_) => return response.error(400, &format!("`page` is at least 1, and `per_page` from 1 to {PER_PAGE_MAX}")),
        Err(message) => return response.error(400, &message),
    };
    let begun = response.begin(200).header("Vary", "Accept-Encoding");
    let catalogue = &call.shop.catalogue;
    let compressed = request.accepts_gzip().then(|| catalogue.page_json_gzip(page, per_page)).flatten();
    if let Some(body) = compressed {
        return begun.header("Content-Encoding", "gzip").body(JSON, body);
    }
    let ([start, items], end) = (catalogue.page_json(page, per_page), Catalogue::page_json_end(page, per_page));
    begun.parts(JSON, &[start.as_bytes(), items.as_bytes(), end.as_bytes()])
}

/// `GET /search?q=`: products whose names hold every word, in JSON.
pub(super) fn search(call: &Call<'_>, response: Response<'_>) -> Reply {
    let Some(query) = call.request.query_value("q") else {
        return response.error(400, "`q` is missing: `/search?q=red`");
    };
    let (total, hits) = call.shop.catalogue.search(&query, HITS_MAX);
    let query = serde_json::Value::from(&*query);
    response.json(200, format!(r#"{{"q":{query},"total":{total},"hits":{hits}}}"#))
}

/// A session's CSRF token where scripts of a page look for it.
pub(super) fn csrf_meta(csrf: u64) -> String {
    format!("<meta name=\"csrf-token\" content=\"{}\">", key_text(csrf))
}

/// The login form, with the token that it must bring back.
pub(super) fn login_form(csrf: u64) -> String {
    format!(
        "<form method=\"post\" action=\"/login\">\n<input type=\"hidden\" name=\"csrf_token\" value=\"{}\">\n\
         <label>User <input name=\"user\"></label>\n<label>Password <input name=\"password\" type=\"password\"></label>\n\
         <button>Log in</button>\n</form>\n",
        key_text(csrf)
    )
}
