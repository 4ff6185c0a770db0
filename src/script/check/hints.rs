//! Words that people bring along from k6 and JavaScript, and what they are here.

/// For a variable that is not there.
#[must_use]
pub fn of_variable(name: &str) -> Option<String> {
    let hint = match name {
        "__ENV" => "write `env(\"NAME\")`, or `env(\"NAME\", \"default\")`",
        "__VU" => "write `vu.id`, with the `vu` that a journey is given: `fn journey(vu)`",
        "__ITER" => "write `vu.iteration`, with the `vu` that a journey is given: `fn journey(vu)`",
        "undefined" | "None" | "NULL" => "nothing is written `()`",
        "True" => "write `true`",
        "False" => "write `false`",
        "console" => "write `print(...)`, or `log::info(...)`",
        "JSON" => "write `json::parse(...)` or `json::stringify(...)`",
        "Math" => "numbers have methods: `x.floor()`, `x.abs()`; chance is `random::int(1, 6)`",
        "Date" => "write `time::now()`, `time::now_ms()` or `time::iso()`",
        "exec" => "the virtual user is what a journey is given: `fn journey(vu)`, `vu.iteration`",
        "vu" => "take it as a parameter: `fn journey(vu)`",
        "data" => "take it as a parameter: `fn journey(vu, data)`",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// For a function that is not there.
#[must_use]
pub fn of_function(name: &str) -> Option<String> {
    let hint = match name {
        "require" => "write `import \"lib/cart\" as cart;`",
        "open" => "write `data::csv(\"file.csv\")`, `data::json`, `data::lines`, or `http::file` for what is sent",
        "parseInt" => "write `parse_int(text)`",
        "parseFloat" => "write `parse_float(text)`",
        "randomIntBetween" => "write `random::int(min, max)`",
        "randomItem" => "write `random::pick(array)`",
        "uuidv4" => "write `random::uuid()`",
        "println" | "printf" | "puts" => "write `print(value)`",
        "str" | "String" => "write `value.to_string()`, or a template: `${value}` in backticks",
        "len" => "write `value.len()`",
        "assert" => "write `check(value, #{ \"name\": |v| ... })`, or `fail(message)`",
        _ => return None,
    };
    Some(hint.to_owned())
}
