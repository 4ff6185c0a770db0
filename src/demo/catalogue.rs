//! The shop's goods: a thousand products, the same in every run, with their JSON and HTML written once.
//!
//! The products' JSON lies in one buffer, comma between them, so that a page of the list is one slice of it. The same
//! holds for the HTML list.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;

/// How many products there are; their ids run from 1.
pub(super) const PRODUCTS: u32 = (ADJECTIVES.len() * NOUNS.len()) as u32;

/// The most products on a page, and of search hits.
pub(super) const PER_PAGE_MAX: u32 = 100;

/// Page sizes whose pages are kept compressed.
const COMPRESSED_SIZES: [u32; 4] = [10, 20, 50, 100];

const ADJECTIVES: [&str; 20] = [
    "Red", "Green", "Blue", "Black", "White", "Amber", "Silver", "Golden", "Small", "Large", "Light", "Heavy", "Quiet",
    "Bright", "Soft", "Round", "Square", "Wooden", "Woollen", "Steel",
];

const NOUNS: [&str; 50] = [
    "Chair", "Table", "Lamp", "Shelf", "Desk", "Stool", "Bench", "Mirror", "Clock", "Vase", "Bowl", "Plate", "Cup",
    "Mug", "Jug", "Kettle", "Teapot", "Pan", "Pot", "Knife", "Fork", "Spoon", "Tray", "Basket", "Box", "Bag",
    "Rucksack", "Wallet", "Belt", "Hat", "Scarf", "Glove", "Coat", "Shirt", "Sweater", "Sock", "Boot", "Sandal",
    "Blanket", "Pillow", "Towel", "Rug", "Curtain", "Candle", "Frame", "Notebook", "Pencil", "Pen", "Radio", "Bicycle",
];

/// One product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Product {
    /// From 1.
    pub(super) id: u32,
    /// Plain ASCII: safe in JSON and HTML.
    pub(super) name: String,
    /// In hundredths.
    pub(super) price_cents: u64,
    /// Pieces in stock.
    pub(super) stock: u32,
}

/// A price as it is written: `149.90`.
pub(super) fn money(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// All products.
pub(super) struct Catalogue {
    products: Vec<Product>,
    json: Pieces,
    html: Pieces,
    /// Compressed pages by size, then page; each made when it is first asked for.
    compressed: Vec<Vec<OnceLock<Vec<u8>>>>,
}

/// Texts in one buffer with a byte between them.
#[derive(Default)]
struct Pieces {
    text: String,
    ranges: Vec<Range<usize>>,
}

impl Pieces {
    fn push(&mut self, separator: char, piece: &str) {
        if !self.ranges.is_empty() {
            self.text.push(separator);
        }
        let start = self.text.len();
        self.text.push_str(piece);
        self.ranges.push(start..self.text.len());
    }

    fn one(&self, index: usize) -> &str {
        &self.text[self.ranges[index].clone()]
    }

    fn several(&self, indexes: Range<usize>) -> &str {
        if indexes.is_empty() {
            ""
        } else {
            &self.text[self.ranges[indexes.start].start..self.ranges[indexes.end - 1].end]
        }
    }
}

impl Catalogue {
    pub(super) fn new() -> Self {
        let (mut products, mut json, mut html) = (Vec::new(), Pieces::default(), Pieces::default());
        for id in 1..=PRODUCTS {
            let index = id as usize - 1;
            let name = format!("{} {}", ADJECTIVES[index % ADJECTIVES.len()], NOUNS[index / ADJECTIVES.len()]);
            // Any spread will do as long as it never changes: journeys may rely on a price.
            let spread = u64::from(id).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
            let product =
                Product { id, name, price_cents: 500 + (spread % 3_950) * 5, stock: 1 + (spread >> 12) as u32 % 99 };
            let (name, price, stock) = (&product.name, money(product.price_cents), product.stock);
            json.push(',', &format!(r#"{{"id":{id},"name":"{name}","price":{price},"stock":{stock}}}"#));
            html.push(
                '\n',
                &format!(r#"<li><a href="/product/{id}">{name}</a> <span class="price">{price}</span></li>"#),
            );
            products.push(product);
        }
        let pages = |size: u32| (0..PRODUCTS.div_ceil(size)).map(|_| OnceLock::new()).collect();
        Self { products, json, html, compressed: COMPRESSED_SIZES.map(pages).into() }
    }

    /// The product with an id.
    pub(super) fn product(&self, id: u32) -> Option<&Product> {
        self.products.get((id as usize).checked_sub(1)?)
    }

    /// A product's JSON.
    pub(super) fn product_json(&self, id: u32) -> Option<&str> {
        self.product(id).map(|product| self.json.one(product.id as usize - 1))
    }

    fn page(page: u32, per_page: u32) -> Range<usize> {
        let start = page.saturating_sub(1).saturating_mul(per_page).min(PRODUCTS);
        start as usize..start.saturating_add(per_page).min(PRODUCTS) as usize
    }

    /// A page of the list in JSON, pages from 1: what stands before the products, and they with what follows.
    pub(super) fn page_json(&self, page: u32, per_page: u32) -> [&str; 2] {
        [r#"{"items":["#, self.json.several(Self::page(page, per_page))]
    }

    /// Products in JSON, comma between them: from the index `first` to that before `end`.
    pub(super) fn slice_json(&self, first: u32, end: u32) -> &str {
        self.json.several(first.min(end) as usize..end.min(PRODUCTS) as usize)
    }

    /// What follows the products of a page in JSON.
    pub(super) fn page_json_end(page: u32, per_page: u32) -> String {
        format!(r#"],"page":{page},"per_page":{per_page},"total":{PRODUCTS}}}"#)
    }

    /// A page of the list in JSON, compressed; none for pages that are not kept so.
    pub(super) fn page_json_gzip(&self, page: u32, per_page: u32) -> Option<&[u8]> {
        let size = COMPRESSED_SIZES.iter().position(|size| *size == per_page)?;
        let slot = self.compressed[size].get((page as usize).checked_sub(1)?)?;
        Some(slot.get_or_init(|| {
            let [start, items] = self.page_json(page, per_page);
            gzip(format!("{start}{items}{}", Self::page_json_end(page, per_page)).as_bytes())
        }))
    }

    /// A page of the list in HTML, pages from 1.
    pub(super) fn page_html(&self, page: u32, per_page: u32) -> &str {
        self.html.several(Self::page(page, per_page))
    }

    /// The JSON of products in whose names every word of `query` occurs: how many there are, and the first
    /// `limit` of them as a list.
    pub(super) fn search(&self, query: &str, limit: usize) -> (usize, String) {
        let words: Vec<(u64, u64)> = query
            .split_whitespace()
            .map(|word| {
                let word = word.to_ascii_lowercase();
                let matching = |names: &[&str]| {
                    let hit = |name: &str| u64::from(name.to_ascii_lowercase().contains(&word));
                    names.iter().enumerate().fold(0, |mask, (at, name)| mask | hit(name) << at)
                };
                (matching(&ADJECTIVES), matching(&NOUNS))
            })
            .collect();
        let (mut total, mut hits) = (0, String::from("["));
        if !words.is_empty() {
            for index in 0..self.products.len() {
                let (adjective, noun) = (index % ADJECTIVES.len(), index / ADJECTIVES.len());
                if words.iter().all(|(adjectives, nouns)| (adjectives >> adjective | nouns >> noun) & 1 == 1) {
                    if total < limit {
                        let separator = if total == 0 { "" } else { "," };
                        let _ = write!(hits, "{separator}{}", self.json.one(index));
                    }
                    total += 1;
                }
            }
        }
        hits.push(']');
        (total, hits)
    }
}

/// Compresses.
pub(super) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(data.len() / 3), Compression::default());
    // Writing to a `Vec` cannot fail; were it to, the body would be seen to be empty.
    let _ = encoder.write_all(data);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use serde_json::Value;

    use super::*;

    fn page(catalogue: &Catalogue, page: u32, per_page: u32) -> (usize, Value) {
        let [start, items] = catalogue.page_json(page, per_page);
        let text = format!("{start}{items}{}", Catalogue::page_json_end(page, per_page));
        (text.len(), serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn products_are_what_their_json_says() {
        let catalogue = Catalogue::new();
        for id in 1..=PRODUCTS {
            let product = catalogue.product(id).unwrap();
            let json: Value = serde_json::from_str(catalogue.product_json(id).unwrap()).unwrap();
            assert_eq!(json["id"], id);
            assert_eq!(json["name"], product.name.as_str());
            assert!((json["price"].as_f64().unwrap() * 100.0 - product.price_cents as f64).abs() < 1e-6);
            assert!(product.price_cents >= 500 && product.stock >= 1);
        }
        assert_eq!(catalogue.product(0), None);
        assert_eq!(catalogue.product(PRODUCTS + 1), None);
    }

    #[test]
    fn pages_cover_the_list_and_end() {
        let catalogue = Catalogue::new();
        let (bytes, first) = page(&catalogue, 1, 100);
        assert!((5_300..6_000).contains(&bytes), "{bytes} bytes");
        assert_eq!(first["items"].as_array().unwrap().len(), 100);
        assert_eq!(first["items"][50]["id"], 51);
        assert_eq!(page(&catalogue, 2, 100).1["items"][0]["id"], 101);
        assert_eq!(page(&catalogue, 143, 7).1["items"].as_array().unwrap().len(), 6);
        for (number, size) in [(11, 100), (u32::MAX, 100), (u32::MAX, 1)] {
            assert_eq!(page(&catalogue, number, size).1["items"], serde_json::json!([]), "page {number} of {size}");
        }
        assert_eq!(catalogue.page_html(1, 20).lines().count(), 20);
    }

    #[test]
    fn compressed_pages_hold_the_same() {
        let catalogue = Catalogue::new();
        let mut text = String::new();
        flate2::read::GzDecoder::new(catalogue.page_json_gzip(2, 50).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), page(&catalogue, 2, 50).1);
        assert!(catalogue.page_json_gzip(1, 7).is_none());
        assert!(catalogue.page_json_gzip(0, 50).is_none());
        assert!(catalogue.page_json_gzip(21, 50).is_none());
    }

    #[test]
    fn search_finds_every_word() {
        let catalogue = Catalogue::new();
        for (query, total, first) in [
            ("red chair", 1, "Red Chair"),
            ("RED", 50, "Red Chair"),
            ("lamp", 20, "Red Lamp"),
            ("wool sock", 1, "Woollen Sock"),
            ("nothing", 0, ""),
            ("red nothing", 0, ""),
            ("  ", 0, ""),
            ("\"<&\u{0}é", 0, ""),
        ] {
            let (found, hits) = catalogue.search(query, 20);
            let hits: Value = serde_json::from_str(&hits).unwrap();
            assert_eq!(found, total, "{query}");
            assert_eq!(hits.as_array().unwrap().len(), total.min(20), "{query}");
            assert_eq!(hits[0]["name"].as_str().unwrap_or_default(), first, "{query}");
        }
    }
}
