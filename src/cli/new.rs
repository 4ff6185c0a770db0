//! `loadr new`: writes a script to start from, with the files that it needs.
//!
//! With a path and a template it asks nothing. What is missing it asks on a terminal, one plain question a line; elsewhere
//! the quickstart is taken. What is there already stays, unless `--force` says otherwise.

use std::fs;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use clap::builder::PossibleValuesParser;
use clap::{Args, CommandFactory as _};
use url::Url;

use super::{Cli, complain, exit::Exit};

pub mod templates;

use templates::{TEMPLATES, Template};

/// Write a script to start from.
#[derive(Args, Debug)]
pub struct NewArgs {
    /// The script to write; `.rhai` is added where it has no ending
    #[arg(value_name = "SCRIPT")]
    script: Option<PathBuf>,
    /// What it is to be like: see --list
    #[arg(short, long, value_name = "NAME", env = "LOADR_TEMPLATE", value_parser = PossibleValuesParser::new(TEMPLATES.iter().map(|template| template.name)), hide_possible_values = true)]
    template: Option<String>,
    /// The target: `https://staging.example`
    #[arg(short, long, value_name = "URL", value_parser = parse_base_url)]
    base_url: Option<String>,
    /// Overwrite files that are there already
    #[arg(short, long)]
    force: bool,
    /// List the templates
    #[arg(short, long, conflicts_with_all = ["script", "template", "base_url", "force"])]
    list: bool,
}

/// What is to be written.
struct Wanted {
    script: PathBuf,
    template: &'static Template,
    base_url: Option<String>,
}

/// Runs the command.
pub fn run(args: &NewArgs) -> Exit {
    if args.list {
        anstream::print!("{}", list());
        return Exit::Passed;
    }
    let on_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let asked = match (&args.script, &args.template) {
        (Some(_), Some(_)) => without_asking(args),
        _ if on_terminal => ask(args, &mut io::stdin().lock(), &mut io::stderr()),
        _ => without_asking(args),
    };
    let wanted = match asked {
        Ok(wanted) => wanted,
        Err(message) => {
            complain(&format!("error: {message}"));
            return Exit::Usage;
        }
    };
    match write(&wanted, args.force) {
        Ok(told) => {
            anstream::print!("{told}");
            Exit::Passed
        }
        Err(message) => {
            complain(&format!("error: {message}"));
            Exit::Failed
        }
    }
}

fn list() -> String {
    let lines = TEMPLATES.iter().map(|template| format!("{:<12} {}\n", template.name, template.summary));
    lines.collect::<String>() + "\n`loadr new SCRIPT --template NAME` writes one.\n"
}

/// The URL without a slash at its end.
fn parse_base_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write it like `https://staging.example`"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("`{}` is neither http nor https", url.scheme()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("paths are added to it: leave out what begins with `?` or `#`".into());
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn script_path(given: &Path) -> Result<PathBuf, String> {
    if given.as_os_str().is_empty() || given.file_name().is_none() || given.is_dir() {
        return Err(format!(
            "`{}` is a directory: name the script in it, like `{}`",
            given.display(),
            given.join("shop.rhai").display()
        ));
    }
    match given.extension() {
        None => Ok(given.with_extension("rhai")),
        Some(ending) if ending == "rhai" => Ok(given.to_owned()),
        Some(_) => Err(format!("a script ends in `.rhai`: `{}`", given.with_extension("rhai").display())),
    }
}

fn without_asking(args: &NewArgs) -> Result<Wanted, String> {
    let Some(given) = &args.script else {
        return Err("say what to write: `loadr new shop.rhai --template quickstart`; --list shows the templates".into());
    };
    let template = args.template.as_deref().unwrap_or("quickstart");
    let template = templates::find(template).ok_or_else(|| format!("there is no template `{template}`"))?;
    Ok(Wanted { script: script_path(given)?, template, base_url: args.base_url.clone() })
}

/// Asks for what the arguments leave open. A wrong answer is told, and asked for again.
fn ask(args: &NewArgs, input: &mut impl BufRead, output: &mut impl Write) -> Result<Wanted, String> {
    let template = match &args.template {
        Some(name) => templates::find(name).ok_or_else(|| format!("there is no template `{name}`"))?,
        None => {
            let mut question = String::new();
            for (number, template) in TEMPLATES.iter().enumerate() {
                question += &format!("  {}  {:<12} {}\n", number + 1, template.name, template.summary);
            }
            question += "Which template?";
            answer(input, output, &question, TEMPLATES[0].name, |answer| {
                let numbered = answer.parse().ok().and_then(|number: usize| TEMPLATES.get(number.checked_sub(1)?));
                numbered.or_else(|| templates::find(answer)).ok_or_else(|| {
                    format!("there is no `{answer}`: give a name, or a number from 1 to {}", TEMPLATES.len())
                })
            })?
        }
    };
    let script = match &args.script {
        Some(given) => script_path(given)?,
        None => {
            let default = format!("{}.rhai", template.name);
            answer(input, output, "Name of the script?", &default, |answer| script_path(Path::new(answer)))?
        }
    };
    let base_url = match &args.base_url {
        Some(url) => Some(url.clone()),
        None => answer(input, output, "URL of the target?", "none yet", |answer| match answer {
            "none yet" => Ok(None),
            url => parse_base_url(url).map(Some),
        })?,
    };
    Ok(Wanted { script, template, base_url })
}

fn answer<T>(
    input: &mut impl BufRead,
    output: &mut impl Write,
    question: &str,
    default: &str,
    understand: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    let mut asked = format!("{question} [{default}] ");
    loop {
        let failed = |error: io::Error| format!("can't ask: {error}");
        write!(output, "{asked}").and_then(|()| output.flush()).map_err(failed)?;
        let mut line = String::new();
        if input.read_line(&mut line).map_err(failed)? == 0 {
            return Err("there was no answer".into());
        }
        let given = line.trim();
        match understand(if given.is_empty() { default } else { given }) {
            Ok(understood) => return Ok(understood),
            Err(message) => {
                let last = question.lines().last().unwrap_or_default();
                asked = format!("{message}\n{last} [{default}] ");
            }
        }
    }
}

/// Writes the files, all of them or none; gives what there is to tell.
fn write(wanted: &Wanted, force: bool) -> Result<String, String> {
    let files = wanted.template.files(&wanted.script, wanted.base_url.as_deref());
    let is_same = |(path, text): &(PathBuf, String)| fs::read_to_string(path).is_ok_and(|there| there == *text);
    let in_the_way: Vec<String> = files
        .iter()
        .filter(|file| !force && file.0.symlink_metadata().is_ok() && !is_same(file))
        .map(|(path, _)| format!("`{}`", path.display()))
        .collect();
    match in_the_way.as_slice() {
        [] => {}
        [one] => return Err(format!("{one} is there already: choose another name, or overwrite it with --force")),
        many => {
            return Err(format!(
                "{} are there already: choose another directory, or overwrite them with --force",
                many.join(" and ")
            ));
        }
    }
    let mut told = String::new();
    for file in &files {
        let (path, text) = file;
        let shown = path.display();
        if is_same(file) {
            told += &format!("kept   {shown}\n");
            continue;
        }
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        directory
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(|error| format!("can't make the directory of `{shown}`: {error}"))?;
        fs::write(path, text).map_err(|error| format!("can't write `{shown}`: {error}"))?;
        told += &format!("wrote  {shown}\n");
    }
    told += next_steps(wanted).as_str();
    Ok(told)
}

/// What to do with a new script: the commands that there are.
fn next_steps(wanted: &Wanted) -> String {
    let script = wanted.script.display();
    let commands = Cli::command();
    let exists = |name: &str| commands.find_subcommand(name).is_some();
    let mut steps = vec![(format!("loadr run --demo {script}"), "try it on the demo shop")];
    if exists("watch") {
        steps.push((format!("loadr watch {script}"), "see at each save what it does"));
    }
    if exists("check") {
        steps.push((format!("loadr check {script}"), "look for mistakes"));
    }
    if wanted.template.has_tests() && exists("test") {
        steps.push((format!("loadr test {script}"), "run its tests"));
    }
    let target = if wanted.base_url.is_some() { String::new() } else { " -e BASE_URL=https://staging.example".into() };
    steps.push((format!("loadr run {script}{target}"), "run it against your target"));
    let width = steps.iter().map(|(command, _)| command.chars().count()).max().unwrap_or_default();
    let lines = steps.iter().map(|(command, why)| format!("  {command:<width$}  # {why}\n"));
    format!("\nNext:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(script: Option<&str>, template: Option<&str>) -> NewArgs {
        NewArgs {
            script: script.map(PathBuf::from),
            template: template.map(str::to_owned),
            base_url: None,
            force: false,
            list: false,
        }
    }

    fn asked(args: &NewArgs, answers: &str) -> (Result<Wanted, String>, String) {
        let mut output = Vec::new();
        let wanted = ask(args, &mut answers.as_bytes(), &mut output);
        (wanted, String::from_utf8(output).expect("text"))
    }

    #[test]
    fn what_is_open_is_asked_for_with_defaults() {
        let (wanted, told) = asked(&args(None, None), "\n\n\n");
        let wanted = wanted.expect("answers");
        assert_eq!(
            (wanted.template.name, wanted.script, wanted.base_url),
            ("quickstart", "quickstart.rhai".into(), None)
        );
        assert!(told.contains("  7  suite ") && told.contains("Which template? [quickstart] "), "{told}");

        let (wanted, told) = asked(&args(Some("shop"), None), "2\nhttps://shop.example/\n");
        let wanted = wanted.expect("answers");
        assert_eq!((wanted.template.name, wanted.script), ("login", "shop.rhai".into()));
        assert_eq!(wanted.base_url.as_deref(), Some("https://shop.example"));
        assert!(!told.contains("Name of the script?"), "{told}");
    }

    #[test]
    fn a_wrong_answer_is_told_and_asked_for_again() {
        let (wanted, told) = asked(&args(None, None), "9\nspike\nshop.txt\nshop\nshop.example\nhttp://shop.example\n");
        let wanted = wanted.expect("answers");
        assert_eq!((wanted.template.name, wanted.script), ("spike", "shop.rhai".into()));
        assert_eq!(wanted.base_url.as_deref(), Some("http://shop.example"));
        assert!(
            told.contains("there is no `9`: give a name, or a number from 1 to 7\nWhich template? [quickstart] "),
            "{told}"
        );
        assert!(told.contains("a script ends in `.rhai`: `shop.rhai`\nName of the script? [spike.rhai] "), "{told}");
        assert!(told.contains("relative URL without a base"), "{told}");
        assert_eq!(asked(&args(None, None), "1\n").0.err().as_deref(), Some("there was no answer"));
    }

    #[test]
    fn a_base_url_is_one_that_paths_can_be_added_to() {
        for (text, expected) in [
            ("https://shop.example", Ok("https://shop.example")),
            ("http://127.0.0.1:8080/shop/", Ok("http://127.0.0.1:8080/shop")),
            ("ftp://shop.example", Err("neither http nor https")),
            ("shop.example", Err("write it like")),
            ("https://shop.example/?a=1", Err("begins with `?`")),
        ] {
            match (parse_base_url(text), expected) {
                (Ok(url), Ok(wanted)) => assert_eq!(url, wanted),
                (Err(message), Err(part)) => assert!(message.contains(part), "{message}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
    }
}
