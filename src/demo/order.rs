//! Cart and orders.
//!
//! The cart belongs to the session, cookie or bearer. An order is placed from the products that it names, or from the
//! cart when it names none, and can be looked at by whoever placed it.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use serde::Deserialize;
use smallvec::SmallVec;
use url::form_urlencoded;

use super::account::{session_cookie, unauthorized};
use super::catalogue::{Catalogue, money};
use super::response::{JSON, Refusal, Reply, Response};
use super::routes::Call;
use super::shop::{Carrier, Line, Order};

/// The most lines of a cart or an order.
const LINES_MAX: usize = 100;

/// The most pieces of one product.
const QUANTITY_MAX: u32 = 99;

/// Lines of a cart or an order.
type Lines = SmallVec<[Line; 2]>;

/// A product in a body: `3`, or `{"id": 3, "quantity": 2}`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    Id(u32),
    Line {
        #[serde(alias = "item")]
        id: u32,
        #[serde(default = "one")]
        quantity: u32,
    },
}

fn one() -> u32 {
    1
}

/// An order in JSON.
#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    items: Vec<Wanted>,
}

/// Adds pieces of a product to lines, if it exists and there is room.
fn add(catalogue: &Catalogue, lines: &mut Lines, (id, quantity): Line) -> Result<(), Refusal> {
    if catalogue.product(id).is_none() {
        return Err(Refusal::new(404, format!("there is no item `{id}`")));
    }
    let index = lines.iter().position(|(known, _)| *known == id);
    let quantity = quantity.saturating_add(index.map_or(0, |at| lines[at].1));
    if !(1..=QUANTITY_MAX).contains(&quantity) {
        return Err(Refusal::new(
            400,
            format!("`quantity` of item `{id}` must be from 1 to {QUANTITY_MAX}, found {quantity}"),
        ));
    }
    match index {
        Some(at) => lines[at].1 = quantity,
        None if lines.len() < LINES_MAX => lines.push((id, quantity)),
        None => return Err(Refusal::new(400, format!("at most {LINES_MAX} different items fit in"))),
    }
    Ok(())
}

fn total_cents(catalogue: &Catalogue, lines: &[Line]) -> u64 {
    let price = |id| catalogue.product(id).map_or(0, |product| product.price_cents);
    lines.iter().map(|(id, quantity)| price(*id) * u64::from(*quantity)).sum()
}

/// The lines in JSON.
fn lines_json(catalogue: &Catalogue, lines: &[Line]) -> String {
    let mut json = String::from("[");
    for (id, quantity) in lines {
        let Some(product) = catalogue.product(*id) else { continue };
        let separator = if json.len() > 1 { "," } else { "" };
        let (name, price) = (&product.name, money(product.price_cents));
        let _ = write!(json, r#"{separator}{{"id":{id},"name":"{name}","quantity":{quantity},"price":{price}}}"#);
    }
    json.push(']');
    json
}

fn cart_json(catalogue: &Catalogue, lines: &[Line]) -> String {
    let (items, total) = (lines_json(catalogue, lines), money(total_cents(catalogue, lines)));
    let count: u32 = lines.iter().map(|(_, quantity)| quantity).sum();
    format!(r#"{{"items":{items},"count":{count},"total":{total}}}"#)
}

/// A form's number: none when it is absent.
fn form_number(text: Option<&str>, name: &str) -> Result<Option<u32>, Refusal> {
    text.map(|text| text.parse().map_err(|_| Refusal::new(400, format!("`{name}` must be a number, found `{text}`"))))
        .transpose()
}

/// `GET /cart`: what is in it.
pub(super) fn cart(call: &Call<'_>, response: Response<'_>) -> Reply {
    let caller = call.shop.caller(call.request, call.now);
    let lines = caller.and_then(|key| call.shop.sessions.with(key, |session| session.cart.clone())).unwrap_or_default();
    response.json(200, cart_json(&call.shop.catalogue, &lines))
}

/// The one product of a request to add to the cart.
fn wanted(call: &Call<'_>) -> Result<Line, Refusal> {
    if call.request.is_form() {
        let (mut id, mut quantity) = (None, None);
        for (name, value) in form_urlencoded::parse(call.body) {
            match &*name {
                "id" | "item" => id = form_number(Some(&value), "id")?,
                "quantity" => quantity = form_number(Some(&value), "quantity")?,
                _ => {}
            }
        }
        let id = id.ok_or_else(|| Refusal::new(400, "`id` is missing"))?;
        return Ok((id, quantity.unwrap_or(1)));
    }
    match serde_json::from_slice(call.body) {
        Ok(Wanted::Id(id)) => Ok((id, 1)),
        Ok(Wanted::Line { id, quantity }) => Ok((id, quantity)),
        Err(_) => Err(Refusal::new(400, r#"expected {"id", "quantity"} in JSON, or a form with these fields"#)),
    }
}

/// `POST /cart`: puts a product in; a visitor without a session gets one.
pub(super) fn add_to_cart(call: &Call<'_>, response: Response<'_>) -> Reply {
    let shop = call.shop;
    let line = match wanted(call) {
        Ok(line) => line,
        Err(refusal) => return response.refuse(&refusal),
    };
    let held = shop.caller(call.request, call.now);
    let added = held.and_then(|key| {
        shop.sessions.with(key, |session| add(&shop.catalogue, &mut session.cart, line).map(|()| session.cart.clone()))
    });
    let (added, opened) = match added {
        Some(added) => (added, None),
        None => {
            let mut cart = Lines::new();
            let added = add(&shop.catalogue, &mut cart, line).map(|()| cart.clone());
            let opened = added.is_ok().then(|| shop.open_session(Carrier::Cookie, None, cart, call.now).0);
            (added, opened)
        }
    };
    match added {
        Err(refusal) => response.refuse(&refusal),
        Ok(lines) => {
            let begun = response.begin(200);
            let begun = match opened {
                Some(key) => begun.header("Set-Cookie", &session_cookie(key)),
                None => begun,
            };
            begun.body(JSON, cart_json(&shop.catalogue, &lines))
        }
    }
}

/// `DELETE /cart`: takes everything out.
pub(super) fn empty_cart(call: &Call<'_>, response: Response<'_>) -> Reply {
    if let Some(key) = call.shop.caller(call.request, call.now) {
        call.shop.sessions.with(key, |session| session.cart.clear());
    }
    response.begin(204).empty()
}

/// The products that an order names; none for those in the cart.
fn ordered(call: &Call<'_>) -> Result<Lines, Refusal> {
    let mut lines = Lines::new();
    let mut push = |line: Line| add(&call.shop.catalogue, &mut lines, line);
    if call.body.is_empty() {
        return Ok(lines);
    }
    if call.request.is_form() {
        for (name, value) in form_urlencoded::parse(call.body) {
            if matches!(&*name, "id" | "item" | "items") {
                for id in value.split(',') {
                    if let Some(id) = form_number(Some(id.trim()), &name)? {
                        push((id, 1))?;
                    }
                }
            }
        }
        return Ok(lines);
    }
    let wish: Wish = serde_json::from_slice(call.body).map_err(|error| {
        Refusal::new(400, format!(r#"expected {{"items": [{{"id", "quantity"}}]}} in JSON, or a form: {error}"#))
    })?;
    for wanted in wish.items {
        match wanted {
            Wanted::Id(id) => push((id, 1))?,
            Wanted::Line { id, quantity } => push((id, quantity))?,
        }
    }
    Ok(lines)
}

/// `POST /order`: places an order.
pub(super) fn place(call: &Call<'_>, response: Response<'_>) -> Reply {
    let shop = call.shop;
    let key = shop.caller(call.request, call.now);
    let Some((key, owner)) = key.and_then(|key| Some((key, shop.owner(key)?))) else {
        return unauthorized(response, "an order needs a session or a bearer token");
    };
    let lines = match ordered(call) {
        Ok(lines) if !lines.is_empty() => lines,
        Ok(_) => shop.sessions.with(key, |session| std::mem::take(&mut session.cart)).unwrap_or_default(),
        Err(refusal) => return response.refuse(&refusal),
    };
    if lines.is_empty() {
        return response.error(400, "the cart is empty, and the order names no items");
    }
    let total_cents = total_cents(&shop.catalogue, &lines);
    let id = shop.events.orders.fetch_add(1, Ordering::Relaxed) + 1;
    let json = order_json(&shop.catalogue, id, &lines, total_cents);
    shop.orders.insert(id, Order { owner, lines, total_cents });
    response.begin(201).header("Location", &format!("/order/{id}")).body(JSON, json)
}

fn order_json(catalogue: &Catalogue, id: u64, lines: &[Line], total_cents: u64) -> String {
    let (items, total) = (lines_json(catalogue, lines), money(total_cents));
    format!(r#"{{"id":{id},"status":"accepted","items":{items},"total":{total}}}"#)
}

/// `GET /order/{id}`: an order, to whoever placed it.
pub(super) fn show(call: &Call<'_>, response: Response<'_>) -> Reply {
    let shop = call.shop;
    let Some(owner) = shop.caller(call.request, call.now).and_then(|key| shop.owner(key)) else {
        return unauthorized(response, "an order is shown to whoever placed it");
    };
    let json = call.parameter.parse().ok().and_then(|id| {
        let mine = |order: &mut Order| {
            (order.owner == owner).then(|| order_json(&shop.catalogue, id, &order.lines, order.total_cents))
        };
        shop.orders.with(id, mine).flatten()
    });
    match json {
        Some(json) => response.json(200, json),
        None => response.error(404, &format!("there is no order `{}` of yours", call.parameter)),
    }
}
