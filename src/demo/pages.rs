//! Routes that browsers and API clients meet: a page with what it loads, and a list that goes on by cursor or `Link`.

use std::fmt::Write as _;

use super::browse::{PAGE_END, page_start_with};
use super::catalogue::PRODUCTS;
use super::response::{HTML, JSON, Reply, Response};
use super::routes::Call;
use super::shop::{key_text, parse_key};

/// The most pictures on a page.
const PICTURES_MAX: u32 = 200;

/// Items of a piece of the list unless the request says otherwise, and at most.
const LIMIT: u32 = 20;
const LIMIT_MAX: u32 = 100;

/// What a cursor is mixed with, so that nobody counts on what it looks like.
const CURSOR_MASK: u64 = 0x5EED_C0DE_0B5E_55ED;

/// The smallest picture there is: one transparent point.
const PICTURE: &[u8] =
    b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\
    \x15\xc4\x89\x00\x00\x00\x0bIDATx\x9cc`\x00\x02\x00\x00\x05\x00\x01z^\xab?\x00\x00\x00\x00IEND\xaeB`\
    \x82";

/// `GET /page/{n}`: a page that loads a style sheet, two scripts and so many pictures, and one script from elsewhere.
pub(super) fn page(call: &Call<'_>, response: Response<'_>) -> Reply {
    let pictures = match call.parameter.parse::<u32>() {
        Ok(pictures) if pictures <= PICTURES_MAX => pictures,
        _ => return response.error(400, &format!("`/page/{{n}}` takes a number of pictures up to {PICTURES_MAX}")),
    };
    let mut page = page_start_with(
        "A page",
        "<link rel=\"stylesheet\" href=\"/asset/style.css\"><script src=\"/asset/shop.js\" defer></script>\
         <script src=\"http://cdn.invalid/count.js\" async></script>",
    );
    for number in 1..=pictures {
        let _ = writeln!(page, "<img src=\"/asset/picture-{number}.png\" alt=\"Picture {number}\">");
    }
    page += "<script src=\"/asset/late.js\"></script>\n";
    page += PAGE_END;
    response.begin(200).header("Cache-Control", "no-cache").body(HTML, page)
}

/// `GET /asset/{name}`: a style sheet, a script or a picture, by the name's end.
pub(super) fn asset(call: &Call<'_>, response: Response<'_>) -> Reply {
    let (content_type, body): (_, &[u8]) = match call.parameter.rsplit_once('.').map(|(_, end)| end) {
        Some("css") => {
            ("text/css; charset=utf-8", b"body { font-family: sans-serif; margin: 2rem auto; max-width: 60rem }\n")
        }
        Some("js") => ("text/javascript; charset=utf-8", b"document.documentElement.dataset.loaded = \"yes\";\n"),
        Some("png") => ("image/png", PICTURE),
        _ => return response.error(404, "assets end in .css, .js or .png"),
    };
    response.begin(200).header("Cache-Control", "public, max-age=3600, immutable").body(content_type, body)
}

/// `GET /api/items?limit=&cursor=`: the goods in pieces. Where the next one is stands in the body and in `Link`.
pub(super) fn items(call: &Call<'_>, response: Response<'_>) -> Reply {
    let request = call.request;
    let limit = match request.query_number("limit", LIMIT) {
        Ok(limit) if (1..=LIMIT_MAX).contains(&limit) => limit,
        Ok(_) => return response.error(400, &format!("`limit` is from 1 to {LIMIT_MAX}")),
        Err(message) => return response.error(400, &message),
    };
    let first = match request.query_value("cursor") {
        None => 0,
        Some(cursor) => {
            match parse_key(&cursor).map(|key| key ^ CURSOR_MASK).and_then(|first| u32::try_from(first).ok()) {
                Some(first) if first < PRODUCTS => first,
                _ => return response.error(400, "`cursor` is none that this server gave"),
            }
        }
    };
    let end = (first + limit).min(PRODUCTS);
    let next = (end < PRODUCTS).then(|| key_text(u64::from(end) ^ CURSOR_MASK));
    let list = call.shop.catalogue.slice_json(first, end);
    let (next_json, link) = match &next {
        Some(cursor) => {
            (format!("\"{cursor}\""), format!("</api/items?limit={limit}&cursor={cursor}>; rel=\"next\", "))
        }
        None => ("null".to_owned(), String::new()),
    };
    let end = format!("],\"next_cursor\":{next_json},\"total\":{PRODUCTS}}}");
    response
        .begin(200)
        .header("Link", &format!("{link}</api/items?limit={limit}>; rel=\"first\""))
        .parts(JSON, &[b"{\"items\":[", list.as_bytes(), end.as_bytes()])
}
