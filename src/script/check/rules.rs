//! The rules: the stable code of each, how bad a breach is, and what it means. `docs/check.md` lists the same.

use crate::script::error::Severity;

/// One kind of mistake.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its stable name, in `kebab-case`.
    pub code: &'static str,
    /// How bad a breach is.
    pub severity: Severity,
    /// What it says, in one sentence.
    pub help: &'static str,
}

/// The rule of that code.
#[must_use]
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code == code)
}

macro_rules! rules {
    ($($name:ident $code:literal $severity:ident $help:literal)*) => {
        $(#[doc = $help] pub const $name: &Rule = &Rule { code: $code, severity: Severity::$severity, help: $help };)*

        /// All rules: what is about the text first, what is about the run last.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
    UNREADABLE_FILE "unreadable-file" Error "A script can't be read, or is not UTF-8 text."
    SYNTAX "syntax" Error "The text is no Rhai; what stands around the mistake is looked at all the same."
    MISSING_IMPORT "missing-import" Error "An imported file, or a module of the standard library, is not there."
    IMPORT_CYCLE "import-cycle" Error "Files import each other in a circle."
    SHADOWED_MODULE "shadowed-module" Error "An import takes the name of one of loadr's own modules."
    UNKNOWN_MODULE "unknown-module" Error "No module of this name was imported, and loadr has none."
    UNKNOWN_FUNCTION "unknown-function" Error "There is no function of this name."
    WRONG_ARGUMENTS "wrong-arguments" Error "A function is called with a number of arguments that it does not take."
    UNKNOWN_METHOD "unknown-method" Error "A value has no method of this name."
    UNKNOWN_PROPERTY "unknown-property" Error "A response, virtual user or other value of loadr's has no property of this name."
    READ_ONLY_PROPERTY "read-only-property" Error "A property that can't be set is assigned to."
    UNDEFINED_VARIABLE "undefined-variable" Error "There is no variable or constant of this name here."
    ASSIGNED_CONSTANT "assigned-constant" Error "A function assigns to a constant of the script."
    NOT_A_CONDITION "not-a-condition" Error "A condition, or a side of `&&`, `||` or `!`, is neither true nor false."
    CHECK_NOT_BOOL "check-not-bool" Error "A condition of `check` gives something that is neither true nor false."
    MISSING_UNIT "missing-unit" Error "A duration is compared with a bare number, or a number is given where a duration is due."
    SELF_MUTATION "self-mutation" Error "An array is changed by the function that its own `map`, `filter` or the like calls."
    INIT_ONLY "not-in-init" Error "The top level of a script, which runs before the load, makes a request or pauses."
    WRONG_HOOK "wrong-hook" Error "`setup`, `teardown`, `vu_start` or `vu_stop` has parameters that loadr does not give it."
    INVALID_URL "invalid-url" Error "The URL of a request is not absolute."
    UNKNOWN_PARAMETER "unknown-parameter" Error "A request is given a parameter that requests don't take."
    INVALID_PATTERN "invalid-pattern" Error "A regular expression can't be read."
    INVALID_PATH "invalid-path" Error "A JSON path can't be read."
    MISSING_FILE "missing-file" Error "A file that the script reads or sends is not there."
    MISSING_ENV "missing-env" Error "A variable that the script can't do without is not set."
    INIT_FAILED "init-failed" Error "The top level of the script throws."
    UNKNOWN_OPTION "unknown-option" Error "There is no option of this name."
    INVALID_OPTION "invalid-option" Error "The value of an option makes no sense."
    CONFLICTING_OPTIONS "conflicting-options" Error "Two options exclude each other."
    UNKNOWN_JOURNEY "unknown-journey" Error "A scenario has no function that it could run."
    INVALID_THRESHOLD "invalid-threshold" Error "A threshold names no metric, or can't be read."
    UNIT_COMPARISON "unit-comparison" Warning "A value that is never `()` is compared with it, or one that always is."
    TYPE_MISMATCH "type-mismatch" Warning "Values of different types are compared, which are never equal."
    ALWAYS_TRUE_CHECK "always-true-check" Warning "A check does not depend on what it checks, or there is none in it."
    COALESCE_PRECEDENCE "coalesce-precedence" Warning "`a ?? 0 + 1` means `a ?? (0 + 1)`."
    CAPTURED_LOOP_VARIABLE "captured-loop-variable" Warning "A closure that is kept sees the loop's variable as it is when the loop is over."
    UNREACHABLE_CODE "unreachable-code" Warning "Nothing gets to this statement."
    ENDLESS_LOOP "endless-loop" Warning "A loop has no end and never waits."
    UNUSED_RESULT "unused-result" Warning "The result of something that does nothing else is thrown away."
    UNUSED_IMPORT "unused-import" Warning "An import is not used."
    UNNAMED_REQUEST "unnamed-request" Warning "A request without a name has a URL made of data: each value becomes a row of its own."
    MISNAMED_HOOK "misnamed-hook" Warning "A function that nothing calls is nearly called like one that loadr calls."
    UNKNOWN_CODE "unknown-code" Warning "A comment allows a code that no rule has."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_each_is_there_once() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(rule.code.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", rule.code);
            assert!(rule.help.ends_with('.'), "{}: {}", rule.code, rule.help);
            assert!(!RULES[..index].iter().any(|other| other.code == rule.code), "{} is there twice", rule.code);
            assert_eq!(find(rule.code), Some(*rule));
        }
        assert_eq!(find("nonsense"), None);
    }

    #[test]
    fn the_document_lists_them_all() {
        let document = include_str!("../../../docs/check.md");
        let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
        let listed: Vec<(&str, &str, &str)> = rows
            .filter_map(|row| {
                let mut cells = row.split(" | ");
                Some((cells.next()?.trim_end_matches('`'), cells.next()?, cells.next()?))
            })
            .filter(|(_, severity, _)| ["error", "warning"].contains(severity))
            .collect();
        let severities: Vec<String> = RULES.iter().map(|rule| rule.severity.to_string()).collect();
        let rules: Vec<_> =
            RULES.iter().zip(&severities).map(|(rule, severity)| (rule.code, severity.as_str(), rule.help)).collect();
        assert_eq!(listed, rules, "the table of docs/check.md on the left, `RULES` on the right");
    }
}
