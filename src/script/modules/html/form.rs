//! Forms: what a browser would send for one, with what a visitor fills in.
//!
//! Follows the HTML standard's form submission as far as there is no script in the page: which controls count (those that
//! are named and not disabled; boxes that are checked; options that are selected; the button that was pressed), what their
//! values are, and how they are encoded.

use rhai::{Array, Dynamic, Map};
use scraper::{ElementRef, Node};

use super::page::{NodeId, Page, is_in_template};
use crate::script::error::host_error;
use crate::script::modules::HostResult;
use crate::script::modules::http::HttpBody;
use crate::units;

/// The most controls of a form.
const CONTROLS_MAX: usize = 10_000;

/// How a form's fields are put into a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-www-form-urlencoded`
    Url,
    /// `multipart/form-data`
    Multipart,
    /// `text/plain`
    Plain,
}

/// How a form is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As the query of its address.
    Get,
    /// As a body.
    Post,
    /// Not at all: it closes a dialogue.
    Dialog,
}

/// A form as it stands in its page.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it goes, as it is written; empty: to the page itself.
    pub action: String,
    /// How it is sent.
    pub method: Method,
    /// How its fields are encoded.
    pub encoding: Encoding,
    controls: Vec<Control>,
    /// Which of the controls is the button that was pressed.
    pressed: Option<usize>,
}

/// A field as it is sent.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text.
    Text(String),
    /// A file, from `http::file` and the like.
    File(HttpBody),
    /// A control for a file that none was chosen in.
    NoFile,
}

#[derive(Clone, Debug)]
struct Control {
    name: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Text(String),
    /// A box, or one of several buttons of which one is down (`radio`).
    Box {
        value: String,
        checked: bool,
        radio: bool,
    },
    /// Options: their values, and whether they are selected.
    Options(Vec<(String, bool)>),
    Files(Vec<HttpBody>),
    Button(Box<Button>),
}

/// What sends the form, with what it changes about that.
#[derive(Clone, Debug)]
struct Button {
    node: NodeId,
    value: String,
    is_image: bool,
    action: Option<String>,
    method: Option<Method>,
    encoding: Option<Encoding>,
}

fn method_of(text: &str) -> Method {
    match text.trim().to_ascii_lowercase().as_str() {
        "post" => Method::Post,
        "dialog" => Method::Dialog,
        _ => Method::Get,
    }
}

fn encoding_of(text: &str) -> Encoding {
    match text.trim().to_ascii_lowercase().as_str() {
        "multipart/form-data" => Encoding::Multipart,
        "text/plain" => Encoding::Plain,
        _ => Encoding::Url,
    }
}

/// The text of an element as it is, without its scripts' meaning.
fn raw_text(element: ElementRef<'_>) -> String {
    element.text().collect()
}

/// An option's value: what it says, where nothing else is given.
fn option_value(option: ElementRef<'_>) -> String {
    match option.attr("value") {
        Some(value) => value.to_owned(),
        None => raw_text(option).split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// The options of a `<select>`, and whether each is selected, as a browser shows it at first.
fn options_of(select: ElementRef<'_>) -> Vec<(String, bool)> {
    let is_disabled = |option: &ElementRef<'_>| {
        let group = option.parent().and_then(ElementRef::wrap);
        option.attr("disabled").is_some()
            || group.is_some_and(|group| group.value().name() == "optgroup" && group.attr("disabled").is_some())
    };
    let all = select.descendent_elements().filter(|element| element.value().name() == "option");
    let mut options: Vec<(String, bool, bool)> = all
        .take(CONTROLS_MAX)
        .map(|option| (option_value(option), option.attr("selected").is_some(), is_disabled(&option)))
        .collect();
    if select.attr("multiple").is_none() {
        // One is always selected: the last that says so, else the first that can be.
        let size: usize = select.attr("size").and_then(|size| size.trim().parse().ok()).unwrap_or(1);
        let last = options.iter().rposition(|(_, selected, _)| *selected);
        let chosen = last.or_else(|| options.iter().position(|(.., disabled)| !disabled).filter(|_| size <= 1));
        for (index, (_, selected, _)) in options.iter_mut().enumerate() {
            *selected = Some(index) == chosen;
        }
    }
    options.into_iter().map(|(value, selected, disabled)| (value, selected && !disabled)).collect()
}

/// The values that a control has as it stands in its page; none where it would not be sent.
#[must_use]
pub fn value_of(control: ElementRef<'_>) -> Vec<String> {
    match control.value().name() {
        "select" => options_of(control).into_iter().filter(|(_, selected)| *selected).map(|(value, _)| value).collect(),
        "textarea" => vec![raw_text(control)],
        "option" => vec![option_value(control)],
        "input" => {
            let is_box = matches!(kind_of(control).as_str(), "checkbox" | "radio");
            vec![control.attr("value").unwrap_or(if is_box { "on" } else { "" }).to_owned()]
        }
        _ => control.attr("value").map(str::to_owned).into_iter().collect(),
    }
}

fn kind_of(input: ElementRef<'_>) -> String {
    input.attr("type").unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a control is disabled, by itself or with the fieldset around it.
fn is_disabled(control: ElementRef<'_>) -> bool {
    let mut around = control.ancestors().filter_map(ElementRef::wrap);
    control.attr("disabled").is_some()
        || around.any(|above| above.value().name() == "fieldset" && above.attr("disabled").is_some())
}

impl Form {
    /// Of a page's `<form>`.
    #[must_use]
    pub fn read(page: &Page, form: ElementRef<'_>) -> Self {
        let id = form.attr("id").filter(|id| !id.is_empty());
        // A control may stand elsewhere and name its form; one within a form may name another.
        let is_owned = |control: &ElementRef<'_>| match control.attr("form") {
            Some(owner) => Some(owner) == id,
            None => {
                control.ancestors().filter_map(ElementRef::wrap).find(|above| above.value().name() == "form")
                    == Some(form)
            }
        };
        let all = page.html.tree.root().descendants().filter_map(ElementRef::wrap);
        let controls = all
            .filter(|element| matches!(element.value().name(), "input" | "select" | "textarea" | "button"))
            .filter(|control| is_owned(control) && !is_disabled(*control) && !is_in_template(page, control.id()))
            .filter(|control| {
                !control
                    .ancestors()
                    .any(|above| matches!(above.value(), Node::Element(above) if above.name() == "datalist"))
            })
            .filter_map(Control::read)
            .take(CONTROLS_MAX)
            .collect();
        Self {
            action: form.attr("action").unwrap_or_default().trim().to_owned(),
            method: method_of(form.attr("method").unwrap_or_default()),
            encoding: encoding_of(form.attr("enctype").unwrap_or_default()),
            controls,
            pressed: None,
        }
    }

    /// What would be sent of it as it stands, without a button: names to values, of several under one name an array.
    #[must_use]
    pub fn fields(&self) -> Map {
        let mut map = Map::new();
        for (name, value) in self.sent() {
            let Value::Text(text) = value else { continue };
            let text = Dynamic::from(text);
            match map.get_mut(name.as_str()) {
                None => drop(map.insert(name.into(), text)),
                Some(several) if several.is_array() => {
                    if let Some(mut array) = several.write_lock::<Array>() {
                        array.push(text);
                    }
                }
                Some(one) => *one = vec![one.clone(), text].into(),
            }
        }
        map
    }

    /// Presses a button of it: the given one, else the first. What the button says about sending the form holds.
    ///
    /// # Errors
    /// When the given element is no button of this form.
    pub fn press(&mut self, button: Option<NodeId>) -> HostResult<()> {
        let is_it = |control: &Control| match &control.kind {
            Kind::Button(found) => button.is_none_or(|wanted| wanted == found.node),
            _ => false,
        };
        self.pressed = self.controls.iter().position(is_it);
        match self.pressed.map(|index| &self.controls[index].kind) {
            Some(Kind::Button(button)) => {
                self.action = button.action.clone().unwrap_or_else(|| std::mem::take(&mut self.action));
                self.method = button.method.unwrap_or(self.method);
                self.encoding = button.encoding.unwrap_or(self.encoding);
                Ok(())
            }
            _ if button.is_some() => Err(host_error("what `submit` selects is no button that sends this form")),
            _ => Ok(()),
        }
    }

    /// Fills in fields by their names.
    ///
    /// # Errors
    /// When there is no field of a name, or it can't have such a value.
    pub fn fill(&mut self, fields: Map) -> HostResult<()> {
        for (name, value) in fields {
            self.fill_one(&name, value.flatten())?;
        }
        Ok(())
    }

    fn fill_one(&mut self, name: &str, value: Dynamic) -> HostResult<()> {
        let is_meant = |control: &Control| control.name == name && !matches!(control.kind, Kind::Button(_));
        if !self.controls.iter().any(is_meant) {
            let mut names: Vec<&str> = self.controls.iter().map(|control| control.name.as_str()).collect();
            names.retain(|name| !name.is_empty());
            names.dedup();
            let hint = match units::nearest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "it has no fields".to_owned(),
                None => format!("it has {}; what scripts of the page add goes into `extra`", names.join(", ")),
            };
            return Err(host_error(format!("the form has no field `{name}`: {hint}")));
        }
        if value.is_unit() {
            self.controls.retain(|control| !is_meant(control));
            return Ok(());
        }
        let controls = self.controls.iter_mut().filter(|control| is_meant(control));
        if let Ok(down) = value.as_bool() {
            let mut boxes = 0;
            for control in controls {
                if let Kind::Box { checked, radio: false, .. } = &mut control.kind {
                    *checked = down;
                    boxes += 1;
                }
            }
            return match boxes {
                0 => Err(host_error(format!("field `{name}` is no box to be checked: give it a text"))),
                _ => Ok(()),
            };
        }
        let mut wanted = match value.try_cast_result::<Array>() {
            Ok(array) => array.into_iter().map(Dynamic::flatten).collect(),
            Err(value) => vec![value],
        };
        let all = wanted.clone();
        // Texts are filled in one after the other; boxes and options take those that are theirs.
        let mut can_have: Vec<String> = Vec::new();
        for control in controls {
            match &mut control.kind {
                Kind::Text(text) => {
                    if let Some(value) = (!wanted.is_empty()).then(|| wanted.remove(0)) {
                        if value.is::<HttpBody>() {
                            return Err(host_error(format!("field `{name}` takes a text, not a file")));
                        }
                        *text = value.to_string();
                    }
                }
                Kind::Files(files) => {
                    for value in wanted.drain(..) {
                        files.push(
                            value
                                .try_cast_result::<HttpBody>()
                                .map_err(|_| host_error(format!("field `{name}` takes a file: `http::file(...)`")))?,
                        );
                    }
                }
                Kind::Box { value, checked, .. } => {
                    *checked = all.iter().any(|wanted| wanted.to_string() == *value);
                    wanted.retain(|wanted| wanted.to_string() != *value);
                    can_have.push(value.clone());
                }
                Kind::Options(options) => {
                    for (value, selected) in options {
                        *selected = all.iter().any(|wanted| wanted.to_string() == *value);
                        wanted.retain(|wanted| wanted.to_string() != *value);
                        can_have.push(value.clone());
                    }
                }
                Kind::Button(_) => {}
            }
        }
        match wanted.first() {
            None => Ok(()),
            Some(left) if can_have.is_empty() => {
                Err(host_error(format!("field `{name}` takes fewer values than it was given: `{left}` is left over")))
            }
            Some(left) => {
                let hint = match units::nearest(&left.to_string(), can_have.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it has {}", can_have.iter().take(20).cloned().collect::<Vec<_>>().join(", ")),
                };
                Err(host_error(format!("field `{name}` can't have the value `{left}`: {hint}")))
            }
        }
    }

    /// What is sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<(String, Value)> {
        let mut sent = Vec::new();
        for (index, Control { name, kind }) in self.controls.iter().enumerate() {
            let mut send = |value: Value| sent.push((name.clone(), value));
            let is_named = !name.is_empty();
            match kind {
                Kind::Button(button) if self.pressed == Some(index) && button.is_image => {
                    // Where in the picture the pointer was: at its corner.
                    let prefix = if is_named { format!("{name}.") } else { String::new() };
                    for axis in ["x", "y"] {
                        sent.push((format!("{prefix}{axis}"), Value::Text("0".to_owned())));
                    }
                }
                Kind::Button(button) if self.pressed == Some(index) && is_named => {
                    send(Value::Text(button.value.clone()));
                }
                Kind::Text(text) if is_named => send(Value::Text(with_crlf(text))),
                Kind::Box { value, checked: true, .. } if is_named => send(Value::Text(value.clone())),
                Kind::Options(options) if is_named => {
                    options
                        .iter()
                        .filter(|(_, selected)| *selected)
                        .for_each(|(value, _)| send(Value::Text(value.clone())));
                }
                Kind::Files(files) if is_named && files.is_empty() => send(Value::NoFile),
                Kind::Files(files) if is_named => files.iter().for_each(|file| send(Value::File(file.clone()))),
                _ => {}
            }
        }
        sent
    }
}

/// Lines end as they do on the wire.
fn with_crlf(text: &str) -> String {
    if !text.contains(['\r', '\n']) {
        return text.to_owned();
    }
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n")
}

impl Control {
    fn read(element: ElementRef<'_>) -> Option<Self> {
        let name = element.attr("name").unwrap_or_default().to_owned();
        let text = || value_of(element).pop().unwrap_or_default();
        let kind = match (element.value().name(), kind_of(element).as_str()) {
            ("select", _) => Kind::Options(options_of(element)),
            ("textarea", _) => Kind::Text(text()),
            ("button", "button" | "reset") | ("input", "button" | "reset") => return None,
            ("button", _) | ("input", "submit" | "image") => Kind::Button(Box::new(Button {
                node: element.id(),
                value: element.attr("value").unwrap_or_default().to_owned(),
                is_image: element.value().name() == "input" && kind_of(element) == "image",
                action: element.attr("formaction").map(|action| action.trim().to_owned()),
                method: element.attr("formmethod").map(method_of),
                encoding: element.attr("formenctype").map(encoding_of),
            })),
            (_, "file") => Kind::Files(Vec::new()),
            (_, kind @ ("checkbox" | "radio")) => {
                Kind::Box { value: text(), checked: element.attr("checked").is_some(), radio: kind == "radio" }
            }
            _ => Kind::Text(text()),
        };
        Some(Self { name, kind })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scraper::Selector;

    use super::*;

    fn form(html: &str) -> Form {
        let page = Page::parse(html).unwrap_or_else(|error| panic!("{error}"));
        let selector = Selector::parse("form").unwrap();
        let form = page.html.select(&selector).next().expect("a form");
        Form::read(&page, form)
    }

    fn sent(form: &Form) -> String {
        let pairs = form.sent().into_iter().map(|(name, value)| match value {
            Value::Text(text) => format!("{name}={text}"),
            Value::File(_) => format!("{name}:file"),
            Value::NoFile => format!("{name}:none"),
        });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn fields(given: &[(&str, Dynamic)]) -> Map {
        given.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()
    }

    #[test]
    fn a_form_is_sent_as_browsers_send_it() {
        for (inside, expected) in [
            ("<input name=a><input name=b value='1&amp;2'>", "a=&b=1&2"),
            ("<input name=t type=hidden value=x><input value=unnamed>", "t=x"),
            (
                "<input type=checkbox name=a><input type=checkbox name=b checked><input type=checkbox name=c value=v checked>",
                "b=on&c=v",
            ),
            ("<input type=radio name=r value=1><input type=radio name=r value=2 checked>", "r=2"),
            ("<select name=s><option>one  and<option value=2>two</select>", "s=one and"),
            ("<select name=s><option disabled>none<option value=2>two</select>", "s=2"),
            ("<select name=s><option>1<option selected>2<option selected>3</select>", "s=3"),
            ("<select name=s multiple><option selected>1<option>2<option selected>3</select>", "s=1&s=3"),
            ("<select name=s multiple><option>1</select>", ""),
            ("<select name=s size=2><option>1</select>", ""),
            ("<select name=s><optgroup disabled><option selected>1</optgroup><option>2</select>", ""),
            ("<textarea name=t>\n a\nb</textarea>", "t= a\r\nb"),
            ("<input name=a disabled value=1><fieldset disabled><input name=b></fieldset>", ""),
            ("<datalist id=d><input name=a></datalist><template><input name=b></template>", ""),
            (
                "<button name=b value=1>x</button><input type=submit name=s><input type=reset name=r><button type=button name=n>",
                "",
            ),
            ("<input type=file name=f>", "f:none"),
            ("<input name=other form=elsewhere value=1>", ""),
        ] {
            assert_eq!(sent(&form(&format!("<form id=f>{inside}</form>"))), expected, "{inside}");
        }
        let apart = form("<form id=f><input name=a></form><input name=b form=f>");
        assert_eq!(sent(&apart), "a=&b=");
    }

    #[test]
    fn a_button_is_pressed() {
        let page = "<form action=/a method=POST><input name=x><button name=b value=1>one</button>\
                    <button name=b value=2 formaction=/c formmethod=get formenctype=multipart/form-data>two</button></form>";
        let mut first = form(page);
        first.press(None).unwrap();
        assert_eq!((sent(&first).as_str(), first.action.as_str(), first.method), ("x=&b=1", "/a", Method::Post));
        let mut second = form(page);
        let Kind::Button(button) = &second.controls[2].kind else { panic!("no button") };
        let node = button.node;
        second.press(Some(node)).unwrap();
        assert_eq!((sent(&second).as_str(), second.action.as_str(), second.method), ("x=&b=2", "/c", Method::Get));
        assert_eq!(second.encoding, Encoding::Multipart);
        let mut image = form("<form><input type=image name=go></form>");
        image.press(None).unwrap();
        assert_eq!(sent(&image), "go.x=0&go.y=0");
        assert!(form("<form></form>").press(Some(node)).is_err());
    }

    #[test]
    fn fields_are_filled_in() {
        let page = "<form><input name=user><input type=checkbox name=stay value=yes><input type=radio name=size value=S checked>\
                    <input type=radio name=size value=L><select name=land><option>de<option>at</select>\
                    <input name=tag value=1><input name=tag value=2><textarea name=note></textarea></form>";
        for (given, expected) in [
            (fields(&[]), "user=&size=S&land=de&tag=1&tag=2&note="),
            (
                fields(&[("user", "ann".into()), ("stay", true.into())]),
                "user=ann&stay=yes&size=S&land=de&tag=1&tag=2&note=",
            ),
            (fields(&[("size", "L".into()), ("land", "at".into())]), "user=&size=L&land=at&tag=1&tag=2&note="),
            (
                fields(&[("tag", vec![Dynamic::from(7_i64), 8_i64.into()].into())]),
                "user=&size=S&land=de&tag=7&tag=8&note=",
            ),
            (fields(&[("user", Dynamic::UNIT), ("tag", Dynamic::UNIT)]), "size=S&land=de&note="),
            (fields(&[("note", "a\nb".into())]), "user=&size=S&land=de&tag=1&tag=2&note=a\r\nb"),
        ] {
            let mut form = form(page);
            form.fill(given).unwrap();
            assert_eq!(sent(&form), expected);
        }
        for (name, value, told) in [
            ("usr", "x".into(), "the form has no field `usr`: did you mean `user`?"),
            ("nothing", "x".into(), "what scripts of the page add goes into `extra`"),
            ("land", "ad".into(), "field `land` can't have the value `ad`: did you mean `at`?"),
            ("size", "XXL".into(), "can't have the value `XXL`: it has S, L"),
            ("user", true.into(), "field `user` is no box to be checked"),
            ("note", vec![Dynamic::from("a"), "b".into()].into(), "`b` is left over"),
        ] {
            let error = form(page).fill(fields(&[(name, value)])).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn what_would_be_sent_can_be_read() {
        let map = form(
            "<form><input name=a value=1><input name=b value=2><input name=b value=3><input type=file name=f></form>",
        )
        .fields();
        assert_eq!(map["a"].to_string(), "1");
        assert_eq!(map["b"].to_string(), r#"["2", "3"]"#);
        assert_eq!(map.len(), 2);
    }

    proptest! {
        #[test]
        fn fuzz_no_form_does_harm(inside in "(<(input|select|option|textarea|button|form|fieldset|optgroup|template)( (name|value|type|form|id|checked|selected)(=[a-f]{0,2})?){0,3}>|</[a-z]{1,6}>|\\PC){0,30}") {
            let mut form = form(&format!("<form id=a>{inside}"));
            let before = form.sent();
            prop_assert!(before.iter().all(|(name, _)| !name.is_empty()));
            form.press(None).unwrap();
            let names: Vec<String> = before.into_iter().map(|(name, _)| name).collect();
            for name in names {
                form.fill(fields(&[(&name, Dynamic::UNIT)])).unwrap_or_default();
            }
        }
    }
}
