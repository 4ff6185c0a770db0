//! The command line: what the user types, and the exit code that comes of it.
//!
//! One file a command. Commands parse and print; what they do lives in the layers below.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub mod check;
pub mod control;
pub mod ctl;
pub mod dashboard;
pub mod demo;
pub mod docs;
pub mod exit;
#[cfg(unix)]
pub mod keys;
pub mod new;
pub mod report;
pub mod run;
pub mod serve;
pub mod signals;
pub mod trial;
pub mod watch;

use exit::Exit;

/// Load tests as plain scripts: journeys in Rhai, thousands of virtual users, numbers that can be trusted.
#[derive(Debug, Parser)]
#[command(name = "loadr", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a journey under load, and report.
    Run(Box<RunCommand>),
    /// Run one iteration at each save of a script, and show each of its steps.
    Watch(Box<watch::WatchArgs>),
    /// Run the tests of a script: its functions `test_...`.
    Test(trial::TestArgs),
    /// Tell what is wrong with scripts, without running them.
    Check(check::CheckArgs),
    /// Write a script to start from, with the files that it needs.
    New(new::NewArgs),
    /// Serve the demo shop, a target to try loadr on.
    Demo(demo::DemoArgs),
    /// Watch or change a run that was started with `--control`.
    Ctl(ctl::CtlArgs),
    /// Make the HTML page of a run from its exported summary.
    Report(report::ReportArgs),
    /// Show what scripts can call.
    Docs(docs::DocsArgs),
}

/// `loadr run`.
#[derive(Debug, Args)]
struct RunCommand {
    #[command(flatten)]
    run: run::RunArgs,
    /// Rehearse the script at each save instead, as `loadr watch` does
    #[arg(long, help_heading = "Script")]
    watch: bool,
}

/// The whole command line as data: what completions, and tests of documentation, are made from.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = match command().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version go to stdout and are no error; clap knows which is which.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Passed };
            let _ = error.print();
            return code.into();
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return Exit::Usage.into();
        }
    };
    let exit = match cli.command {
        Command::Run(args) => {
            let matches = matches.subcommand_matches("run").expect("it was parsed as such");
            if args.watch {
                watch::run(&args.run, &watch::OwnArgs::default(), matches, shown(&arguments))
            } else {
                run::run(&args.run, matches, shown(&arguments))
            }
        }
        Command::Watch(args) => {
            let matches = matches.subcommand_matches("watch").expect("it was parsed as such");
            watch::run(&args.run, &args.own, matches, shown(&arguments))
        }
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(&args).unwrap_or_else(|error| {
            complain(&format!("error: {error:#}"));
            Exit::Failed
        }),
        Command::Test(args) => trial::run(&args),
        Command::New(args) => new::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::Report(args) => report::report(&args),
        Command::Docs(args) => docs::run(&args),
    };
    exit.into()
}

/// The command line as it is told in reports.
fn shown(arguments: &[OsString]) -> Vec<String> {
    arguments.iter().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect()
}

/// Prints an error where errors go.
pub(crate) fn complain(text: &str) {
    anstream::eprintln!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }
}
