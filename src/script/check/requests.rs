//! Rules about the arguments of loadr's own functions: requests, pauses, files, variables of the environment, patterns.

use rhai::{Expr, FnCallExpr, Position};

use super::evident::Type;
use super::flow::start;
use super::rules;
use super::walk::Walker;
use crate::script::json_query::JsonQuery;
use crate::script::modules::http::{PARAMS, STREAM_PARAMS, client};
use crate::script::names;
use crate::units;

impl Walker<'_> {
    /// A call of a function of loadr's with the right number of arguments, whose types are these.
    pub(super) fn arguments(&mut self, name: &str, call: &FnCallExpr, types: &[Type], position: Position) {
        let text = |index: usize| match call.args.get(index) {
            Some(Expr::StringConstant(text, position)) => Some((text.to_string(), *position)),
            _ => None,
        };
        match name {
            "http::get" | "http::head" | "http::options" => self.request(call, 0, 1, position),
            "http::post" | "http::put" | "http::patch" | "http::delete" | "http::del" => {
                self.request(call, 0, 2, position)
            }
            "http::request" => self.request(call, 1, 3, position),
            "http::events" => self.request(call, 0, 1, position),
            "http::stream" => self.request(call, 1, 3, position),
            "http::client" => self.client(call.args.first()),
            "parallel" if self.file.function(name, None).is_none() => self.not_in_init("run flows", position),
            "http::batch" => self.not_in_init("make a request", position),
            "think" | "sleep" | "pace" if self.file.function(name, None).is_none() => {
                self.pause(name, call, types, position);
            }
            "env" if call.args.len() == 1 => text(0).into_iter().for_each(|(name, at)| self.env(&name, at)),
            "data::csv" | "data::json" | "data::lines" | "http::file" => {
                text(0).into_iter().for_each(|(path, at)| self.data_file(&path, at));
            }
            "regex::matches" | "regex::find" | "regex::find_all" | "regex::captures" | "regex::replace"
            | "regex::split" => {
                text(1).into_iter().for_each(|(pattern, at)| self.pattern(&pattern, at));
            }
            "json::get" | "json::query" => self.json_path(call.args.get(1)),
            _ => {}
        }
    }

    fn not_in_init(&mut self, what: &str, position: Position) {
        if self.is_init() && self.tries == 0 {
            let message = format!("the top level of a script can't {what}: it runs before the load");
            self.report(rules::INIT_ONLY, position, message).hint = Some("do it in `setup` or in a journey".into());
        }
    }

    fn request(&mut self, call: &FnCallExpr, url: usize, params: usize, position: Position) {
        if let Some(url) = call.args.get(url) {
            self.absolute(url);
        }
        self.request_of(call, url, params, position);
    }

    /// A method of a client, whose URLs may be relative.
    pub(super) fn client_method(&mut self, call: &FnCallExpr, position: Position) {
        match call.name.as_str() {
            "get" | "head" | "options" => self.request_of(call, 0, 1, position),
            "post" | "put" | "patch" | "delete" | "del" => self.request_of(call, 0, 2, position),
            "request" | "stream" => self.request_of(call, 1, 3, position),
            "events" => self.request_of(call, 0, 1, position),
            "batch" => self.not_in_init("make a request", position),
            _ => {}
        }
    }

    /// The settings of a client.
    fn client(&mut self, settings: Option<&Expr>) {
        let Some(Expr::Map(map, _)) = settings else { return };
        for (key, _) in &map.0 {
            let known = key.name.as_str();
            if client::is_setting(known) {
                continue;
            }
            let hint = client::hint(known);
            self.report(rules::UNKNOWN_PARAMETER, key.pos, format!("a client has no setting `{known}`")).hint =
                Some(hint);
        }
    }

    fn request_of(&mut self, call: &FnCallExpr, url: usize, params: usize, position: Position) {
        self.not_in_init("make a request", position);
        let params = call.args.get(params);
        let more = if matches!(call.name.as_str(), "events" | "stream") { STREAM_PARAMS } else { &[] };
        if let Some(Expr::Map(map, _)) = params {
            for (key, _) in &map.0 {
                let known = key.name.as_str();
                if known == "throw" || PARAMS.contains(&known) || more.contains(&known) {
                    continue;
                }
                let hint = match units::nearest(known, PARAMS.iter().chain(more).copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("a request takes {}", PARAMS.join(", ")),
                };
                let message = format!("a request has no parameter `{known}`");
                self.report(rules::UNKNOWN_PARAMETER, key.pos, message).hint = Some(hint);
            }
        }
        let Some(url) = call.args.get(url) else { return };
        let named = match params {
            None | Some(Expr::Unit(_)) => false,
            Some(Expr::Map(map, _)) => map.0.iter().any(|(key, _)| key.name == "name"),
            // What is put together may hold a name.
            Some(_) => true,
        };
        if !named {
            self.unnamed(url);
        }
    }

    fn absolute(&mut self, url: &Expr) {
        let (start, position) = match url {
            Expr::StringConstant(text, position) => (text.as_str(), *position),
            Expr::InterpolatedString(parts, position) => match parts.first() {
                Some(Expr::StringConstant(text, _)) if !text.is_empty() => (text.as_str(), *position),
                _ => return,
            },
            _ => return,
        };
        let begins = |scheme: &str| start.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        // A template may be cut within its scheme.
        let is_cut = matches!(url, Expr::InterpolatedString(..)) && !start.contains(['/', '.']);
        if begins("http://") || begins("https://") || is_cut {
            return;
        }
        let hint = if start.starts_with('/') {
            format!("put the target before it: `${{BASE}}{start}` in backticks, with `const BASE = env(\"BASE_URL\");`")
        } else if start.contains("://") {
            "loadr speaks `http` and `https`".to_owned()
        } else {
            "begin it with `http://` or `https://`".to_owned()
        };
        self.report(rules::INVALID_URL, position, format!("`{start}` is no absolute URL")).hint = Some(hint);
    }

    /// A URL whose path holds a text from data: the rows of the report would be as many as there are texts.
    fn unnamed(&mut self, url: &Expr) {
        let mut pieces = Vec::new();
        flatten(url, &mut pieces);
        let mut in_path = false;
        let mut segment = String::new();
        for (index, piece) in pieces.iter().enumerate() {
            match piece {
                Expr::StringConstant(text, _) => {
                    if text.contains(['?', '#']) {
                        return;
                    }
                    let after_host = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest);
                    in_path |= after_host.contains('/');
                    segment = text.rsplit('/').next().unwrap_or_default().to_owned();
                }
                piece if index > 0 && in_path => {
                    let Some(what) = self.data_in(piece, &segment) else { continue };
                    let position = shown_position(piece);
                    let message = format!(
                        "this request has no name, and its URL is made of {what}: each value becomes a row of its own"
                    );
                    self.report(rules::UNNAMED_REQUEST, position, message).hint =
                        Some("give it one: `#{ name: \"product page\" }` as the last argument".into());
                    return;
                }
                _ => {}
            }
        }
    }

    /// What of the data a piece of a URL is, if it is certain that requests are not grouped by what is an id.
    fn data_in(&mut self, piece: &Expr, segment: &str) -> Option<String> {
        let before = self.out.len();
        let ty = self.expression(piece);
        self.out.truncate(before);
        match ty {
            // `page-5`: a number alone would be taken for an id.
            Type::Int if !segment.is_empty() && !names::is_folded(&format!("{segment}5")) && !is_constant(piece) => {
                Some(format!("a number after `{segment}`"))
            }
            Type::Text => {
                let shown = self.file.text.chain(shown_position(piece)).to_owned();
                let column = shown.rsplit('.').next().unwrap_or_default().to_lowercase();
                let is_id = ["id", "uuid", "guid", "email", "mail", "token", "hash", "key", "number", "no"];
                let looks_like_id = is_id.iter().any(|word| column == *word || column.ends_with(&format!("_{word}")));
                let from_row = self.is_row(piece);
                (from_row && !looks_like_id).then(|| format!("the data in `{shown}`"))
            }
            _ => None,
        }
    }

    /// Whether a piece is a field of a row, or a line of a file.
    fn is_row(&self, piece: &Expr) -> bool {
        match piece {
            Expr::Dot(link, ..) | Expr::Index(link, ..) => match &link.lhs {
                Expr::Variable(variable, ..) => self
                    .visible(&variable.1)
                    .is_some_and(|(_, variable)| matches!(variable.ty, Type::Row | Type::CsvTable | Type::LineTable)),
                _ => false,
            },
            Expr::Stmt(block) => match block.statements() {
                [rhai::Stmt::Expr(inner)] => self.is_row(inner),
                _ => false,
            },
            _ => false,
        }
    }

    fn pause(&mut self, name: &str, call: &FnCallExpr, types: &[Type], position: Position) {
        if name == "pace" {
            if self.is_init() || matches!(self.function, Some("setup" | "teardown")) && self.closures == 0 {
                let message = "`pace` is about iterations: it has no meaning outside of a journey";
                self.report(rules::INIT_ONLY, position, message).hint = Some("call it in a journey".into());
            }
        } else {
            self.not_in_init("pause", position);
        }
        let takes_number = name == "sleep";
        let wrong = |ty: &Type| (ty.is_number() && !takes_number) || matches!(ty, Type::Text | Type::Bool);
        if let (Some(ty), Some(argument)) = (types.first().filter(|ty| wrong(ty)), call.args.first()) {
            let place = start(argument);
            let shown: String = self.file.text.from(place).chars().take(self.file.text.length(place)).collect();
            let message = format!("`{name}` takes a duration, this is {}", ty.name());
            let hint = if ty.is_number() && shown.chars().all(|c| c.is_ascii_digit() || c == '.') {
                format!("give it a unit: `{shown}.s` or `{shown}.ms`")
            } else if name == "think" {
                "write `think(1.s..3.s)` or `think(2.s)`".to_owned()
            } else {
                format!("write `{name}(2.s)`")
            };
            self.report(rules::MISSING_UNIT, place, message).hint = Some(hint);
        }
    }

    fn env(&mut self, name: &str, position: Position) {
        let Some(env) = self.facts.env else { return };
        // A scenario may set it, and what is tried may fail.
        if env.contains_key(name) || self.world.keys.contains(name) || self.tries > 0 {
            return;
        }
        self.missing_env.push(name.to_owned());
        let near = units::nearest(name, env.keys().map(String::as_str));
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? Else "));
        self.report(rules::MISSING_ENV, position, format!("the variable `{name}` is not set")).hint =
            Some(format!("{near}pass it with `-e {name}=...`, or give a default: `env(\"{name}\", ...)`"));
    }

    fn data_file(&mut self, path: &str, position: Position) {
        let Some(base) = self.facts.base_dir else { return };
        let full = base.join(path);
        self.data_files.push(full.clone());
        if self.tries > 0 {
            return;
        }
        let problem = match std::fs::metadata(&full) {
            Ok(found) if found.is_file() => return,
            Ok(_) => format!("`{path}` is not a file"),
            Err(error) => format!("can't read the file `{path}`: {error}"),
        };
        let hint = format!("paths start beside the script: it is looked for at `{}`", full.display());
        self.report(rules::MISSING_FILE, position, problem).hint = Some(hint);
    }

    fn pattern(&mut self, pattern: &str, position: Position) {
        if let Err(error) = regex::Regex::new(pattern) {
            let last = error.to_string();
            let problem = last.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or(&last).to_owned();
            self.report(rules::INVALID_PATTERN, position, format!("`{pattern}` is no regular expression: {problem}"));
        }
    }

    /// A JSON path, where it is written out.
    pub(super) fn json_path(&mut self, path: Option<&Expr>) {
        if let Some(Expr::StringConstant(text, position)) = path
            && let Err(error) = JsonQuery::parse(text)
        {
            self.report(rules::INVALID_PATH, *position, error.to_string());
        }
    }
}

/// The pieces that a text is put together from.
fn flatten<'e>(expression: &'e Expr, pieces: &mut Vec<&'e Expr>) {
    match expression {
        Expr::InterpolatedString(parts, _) => pieces.extend(parts.iter()),
        Expr::FnCall(call, _) if call.is_operator_call() && call.name == "+" && call.args.len() == 2 => {
            call.args.iter().for_each(|side| flatten(side, pieces));
        }
        other => pieces.push(other),
    }
}

/// Where a piece is written: of `${name}` the name.
fn shown_position(piece: &Expr) -> Position {
    match piece {
        Expr::Stmt(block) => match block.statements() {
            [rhai::Stmt::Expr(inner)] => start(inner),
            _ => start(piece),
        },
        _ => start(piece),
    }
}

fn is_constant(piece: &Expr) -> bool {
    match piece {
        Expr::Stmt(block) => match block.statements() {
            [rhai::Stmt::Expr(inner)] => is_constant(inner),
            _ => false,
        },
        Expr::Variable(..) | Expr::IntegerConstant(..) => true,
        _ => false,
    }
}
