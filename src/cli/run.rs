//! `loadr run`: a journey under load.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use clap::{ArgMatches, Args};
use serde_json::{Map, Value};

use super::control::{self, Board, ControlError, ControlFile, ControlSpec};
use super::dashboard::{self, Dashboard};
use super::serve::{self, Server};
use super::{complain, exit::Exit, signals};
use crate::engine::{Control, End};
use crate::output::live::Legend;
use crate::output::page::live::Screen;
use crate::output::{self, Look, Named, ProgressOptions, summary};
use crate::plan::{self, Layer, Source};
use crate::session::{Session, SessionEnd, SessionError, SessionSpec};
use crate::vu::VuError;

mod layers;

use layers::{layers, listed};

/// Run a journey under load, and report.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// The journey: a Rhai script
    pub script: String,

    /// Virtual users; a script's own numbers are scaled to it
    #[arg(short = 'u', long, env = "LOADR_VUS", value_name = "N", help_heading = "Load")]
    pub vus: Option<String>,
    /// How long: `30s`, `1m30s`
    #[arg(short = 'd', long, env = "LOADR_DURATION", value_name = "D", help_heading = "Load")]
    pub duration: Option<String>,
    /// Iterations in all, shared by the virtual users
    #[arg(short = 'i', long, env = "LOADR_ITERATIONS", value_name = "N", help_heading = "Load")]
    pub iterations: Option<String>,
    /// A stretch of a ramp: `30s:200` goes to 200 virtual users within 30 s; may be repeated
    #[arg(
        short = 's',
        long = "stage",
        env = "LOADR_STAGES",
        value_name = "D:N",
        value_delimiter = ',',
        help_heading = "Load"
    )]
    pub stages: Vec<String>,
    /// Iterations to start a second, whether or not those before have ended: `50/s`, `3000/m`
    #[arg(short = 'r', long, env = "LOADR_RATE", value_name = "N/s", help_heading = "Load")]
    pub rate: Option<String>,
    /// Make the journey one of the usual tests: `smoke`, `baseline`, `load`, `stress`, `spike` or `endurance`;
    /// `--vus` and `--duration` change its numbers
    #[arg(long, env = "LOADR_PROFILE", value_name = "NAME", help_heading = "Load")]
    pub profile: Option<String>,
    /// Make everything that is planned take so many times as long: `0.1` is ten times faster
    #[arg(long, env = "LOADR_TIME_SCALE", value_name = "FACTOR", help_heading = "Load")]
    pub time_scale: Option<String>,
    /// Run only this scenario of the script
    #[arg(long, env = "LOADR_SCENARIO", value_name = "NAME", help_heading = "Load")]
    pub scenario: Option<String>,
    /// The seed of all random choices: the same seed, the same choices
    #[arg(long, env = "LOADR_SEED", value_name = "N", help_heading = "Load")]
    pub seed: Option<String>,

    /// Start the demo shop on a free port, and give its address to the script as BASE_URL
    #[arg(long, env = "LOADR_DEMO", value_parser = BoolishValueParser::new(), help_heading = "Script")]
    pub demo: bool,
    /// A variable for the script's `env`: `-e BASE_URL=http://127.0.0.1:8080`; may be repeated
    #[arg(short = 'e', long = "env", value_name = "KEY=VALUE", help_heading = "Script")]
    pub env: Vec<String>,
    /// A file of options as JSON: the same names as in the script's `options`
    #[arg(short = 'c', long, env = "LOADR_CONFIG", value_name = "FILE", help_heading = "Script")]
    pub config: Option<PathBuf>,
    /// Skip `setup`
    #[arg(long, env = "LOADR_NO_SETUP", value_parser = BoolishValueParser::new(), help_heading = "Script")]
    pub no_setup: bool,
    /// Skip `teardown`
    #[arg(long, env = "LOADR_NO_TEARDOWN", value_parser = BoolishValueParser::new(), help_heading = "Script")]
    pub no_teardown: bool,
    /// How long `setup` may take
    #[arg(long, env = "LOADR_SETUP_TIMEOUT", value_name = "D", help_heading = "Script")]
    pub setup_timeout: Option<String>,
    /// How long `teardown` may take
    #[arg(long, env = "LOADR_TEARDOWN_TIMEOUT", value_name = "D", help_heading = "Script")]
    pub teardown_timeout: Option<String>,

    /// What must hold: `http_req_duration{name:item}: p(95)<500`; may be repeated
    #[arg(long = "threshold", env = "LOADR_THRESHOLDS", value_name = "METRIC: EXPR", help_heading = "Results")]
    pub thresholds: Vec<String>,
    /// A tag for every series of the run: `team=shop`; may be repeated
    #[arg(long = "tag", env = "LOADR_TAGS", value_name = "KEY=VALUE", help_heading = "Results")]
    pub tags: Vec<String>,
    /// Where results go, besides the summary; may be repeated. `--out help` lists the formats
    #[arg(
        short = 'o',
        long = "out",
        env = "LOADR_OUT",
        value_name = "FORMAT[=DEST][?K=V&...]",
        help_heading = "Results"
    )]
    pub outputs: Vec<String>,
    /// Write the summary as JSON
    #[arg(long, env = "LOADR_SUMMARY_EXPORT", value_name = "FILE", help_heading = "Results")]
    pub summary_export: Option<PathBuf>,
    /// Write the report as one HTML page that anybody can open: verdict, charts and tables
    #[arg(long, env = "LOADR_REPORT", value_name = "FILE", help_heading = "Results")]
    pub report: Option<PathBuf>,
    /// Let a run pass in which nothing worked
    #[arg(long, env = "LOADR_ALLOW_FAILURE", value_parser = BoolishValueParser::new(), help_heading = "Results")]
    pub allow_failure: bool,
    /// Fail a run whose result the generator itself has shaped (exit code 96)
    #[arg(long, env = "LOADR_REQUIRE_HEALTHY", help_heading = "Results")]
    pub require_healthy: bool,
    /// Print errors and the summary, no progress
    #[arg(short = 'q', long, env = "LOADR_QUIET", value_parser = BoolishValueParser::new(), help_heading = "Results")]
    pub quiet: bool,
    /// Print what scripts log for debugging too, and the first failure of each kind as it comes
    #[arg(short = 'v', long, env = "LOADR_VERBOSE", value_parser = BoolishValueParser::new(), help_heading = "Results")]
    pub verbose: bool,
    /// Load the script without looking through it for mistakes first; those that show when it runs are told then
    #[arg(long, env = "LOADR_NO_CHECK", value_parser = BoolishValueParser::new(), help_heading = "Script")]
    pub no_check: bool,
    /// No colours
    #[arg(long, env = "LOADR_NO_COLOR", value_parser = BoolishValueParser::new(), help_heading = "Results")]
    pub no_color: bool,

    /// Serve a page that shows the run while it goes on, and print where: at a free port of this machine, or where it is
    /// said, as in `--dashboard=127.0.0.1:8080`
    #[arg(
        long,
        env = "LOADR_DASHBOARD",
        value_name = "ADDRESS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = dashboard::DEFAULT_ADDRESS_TEXT,
        help_heading = "Results"
    )]
    pub dashboard: Option<SocketAddr>,
    /// What browsers must give to see the page [default: none on a loopback address, elsewhere a random one]
    #[arg(long, env = "LOADR_DASHBOARD_TOKEN", value_name = "TOKEN", hide_env_values = true, help_heading = "Results")]
    pub dashboard_token: Option<String>,

    /// Let the run be watched and changed over HTTP, by `loadr ctl`: where to listen, such as `127.0.0.1:0`
    #[arg(long, env = "LOADR_CONTROL", value_name = "ADDRESS", help_heading = "Control")]
    pub control: Option<SocketAddr>,
    /// What control requests must carry [default: a random one, told on stderr]
    #[arg(long, env = "LOADR_CONTROL_TOKEN", value_name = "TOKEN", hide_env_values = true, help_heading = "Control")]
    pub control_token: Option<String>,
    /// Write address and token of the control to this file, for its owner alone to read
    #[arg(long, env = "LOADR_CONTROL_FILE", value_name = "FILE", help_heading = "Control")]
    pub control_file: Option<PathBuf>,
    /// Let --control listen where other machines can reach it
    #[arg(long, env = "LOADR_CONTROL_ALLOW_REMOTE", value_parser = BoolishValueParser::new(), help_heading = "Control")]
    pub control_allow_remote: bool,

    /// How long a request may take
    #[arg(long, env = "LOADR_TIMEOUT", value_name = "D", help_heading = "Requests")]
    pub timeout: Option<String>,
    /// How many redirects are followed
    #[arg(long, env = "LOADR_MAX_REDIRECTS", value_name = "N", help_heading = "Requests")]
    pub max_redirects: Option<String>,
    /// The User-Agent header
    #[arg(long, env = "LOADR_USER_AGENT", value_name = "TEXT", help_heading = "Requests")]
    pub user_agent: Option<String>,
    /// The version of HTTP: `auto` (what the server prefers under TLS, 1.1 without), `1.1`, `2`, or `h2c` (2 without TLS)
    #[arg(long, env = "LOADR_HTTP_VERSION", value_name = "V", help_heading = "Requests")]
    pub http_version: Option<String>,
    /// The version of TLS to speak, and no other: `tls1.2`, `tls1.3`
    #[arg(long, env = "LOADR_TLS_VERSION", value_name = "V", help_heading = "Requests")]
    pub tls_version: Option<String>,
    /// A file of certificates (PEM) to trust besides the system's
    #[arg(long = "cacert", env = "LOADR_TLS_CA", value_name = "FILE", help_heading = "Requests")]
    pub tls_ca: Option<String>,
    /// Resume TLS sessions: a virtual user's second connection to a host makes a short handshake
    #[arg(long, env = "LOADR_TLS_RESUMPTION", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub tls_resumption: bool,
    /// Let the virtual users of a worker thread share connections
    #[arg(long, env = "LOADR_SHARE_CONNECTIONS", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub share_connections: bool,
    /// How many connections to one host a virtual user may have at once, or a worker thread where they are shared [default: any]
    #[arg(long, env = "LOADR_CONNECTIONS_PER_HOST", value_name = "N", help_heading = "Requests")]
    pub connections_per_host: Option<String>,
    /// Accept any certificate
    #[arg(long, env = "LOADR_INSECURE_SKIP_TLS_VERIFY", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub insecure_skip_tls_verify: bool,
    /// Open a connection for each request
    #[arg(long, env = "LOADR_NO_CONNECTION_REUSE", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub no_connection_reuse: bool,
    /// Open new connections in each iteration
    #[arg(long, env = "LOADR_NO_VU_CONNECTION_REUSE", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub no_vu_connection_reuse: bool,
    /// Keep cookies from iteration to iteration
    #[arg(long, env = "LOADR_NO_COOKIES_RESET", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub no_cookies_reset: bool,
    /// Read bodies but do not keep them
    #[arg(long, env = "LOADR_DISCARD_RESPONSE_BODIES", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub discard_response_bodies: bool,
    /// The most bytes of a body that are kept
    #[arg(long, env = "LOADR_MAX_BODY", value_name = "BYTES", help_heading = "Requests")]
    pub max_body: Option<String>,
    /// The directory below which scripts may save responses (`save_to`) [default: the working directory]
    #[arg(long, env = "LOADR_SAVE_DIR", value_name = "DIR", help_heading = "Requests")]
    pub save_dir: Option<String>,
    /// Make a failed request an exception
    #[arg(short = 'w', long, env = "LOADR_THROW", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub throw: bool,
    /// Send a W3C trace context (`traceparent`) with each request, its ids made from the seed
    #[arg(long, env = "LOADR_TRACE_CONTEXT", value_parser = BoolishValueParser::new(), help_heading = "Requests")]
    pub trace_context: bool,
    /// Print requests and responses without secrets: `headers`, `full` with bodies, or those that `failed` alone
    #[arg(long, env = "LOADR_HTTP_DEBUG", value_name = "WHAT", num_args = 0..=1, require_equals = true,
        default_missing_value = "headers", help_heading = "Requests")]
    pub http_debug: Option<String>,

    /// How long connecting may take [default: 30s]
    #[arg(long, env = "LOADR_CONNECT_TIMEOUT", value_name = "D", help_heading = "Network")]
    pub connect_timeout: Option<String>,
    /// How names become addresses: `ttl` (a duration, 0, inf), `select` (first, random, roundRobin), `policy` (preferIPv4,
    /// preferIPv6, onlyIPv4, onlyIPv6, any), such as `ttl=1m,select=roundRobin`
    #[arg(long, env = "LOADR_DNS", value_name = "K=V,...", help_heading = "Network")]
    pub dns: Option<String>,
    /// DNS servers to ask instead of the system's resolver, such as `10.0.0.2,10.0.0.3:5353`
    #[arg(long, env = "LOADR_DNS_SERVERS", value_name = "ADDRESSES", help_heading = "Network")]
    pub dns_servers: Option<String>,
    /// Addresses to connect from, one a virtual user, such as `10.0.0.10-10.0.0.20,10.0.1.0/24`
    #[arg(long, env = "LOADR_LOCAL_IPS", value_name = "ADDRESSES", help_heading = "Network")]
    pub local_ips: Option<String>,
    /// Connect to this Unix socket, whatever a URL's host
    #[arg(long, env = "LOADR_UNIX_SOCKET", value_name = "PATH", help_heading = "Network")]
    pub unix_socket: Option<String>,
    /// Never connect to these addresses and networks, such as `10.0.0.0/8`
    #[arg(
        long,
        alias = "blacklist-ip",
        alias = "block-ips",
        env = "LOADR_BLACKLIST_IPS",
        value_name = "NETWORKS",
        help_heading = "Network"
    )]
    pub blacklist_ips: Option<String>,
    /// Never ask these hosts, such as `ads.test,*.ads.test`
    #[arg(long, env = "LOADR_BLOCK_HOSTNAMES", value_name = "HOSTS", help_heading = "Network")]
    pub block_hostnames: Option<String>,
    /// Ask through a proxy: `http://user:password@proxy.test:3128`, `socks5://...`, `socks5h://...` [default: HTTP_PROXY,
    /// HTTPS_PROXY and ALL_PROXY, but for this machine]
    #[arg(long, env = "LOADR_PROXY", value_name = "URL", hide_env_values = true, help_heading = "Network")]
    pub proxy: Option<String>,
    /// Hosts and networks that are asked without a proxy [default: NO_PROXY]
    #[arg(long, env = "LOADR_NO_PROXY", value_name = "HOSTS", help_heading = "Network")]
    pub no_proxy: Option<String>,

    /// Worker threads [default: one a core]
    #[arg(long, env = "LOADR_THREADS", value_name = "N", help_heading = "Bounds")]
    pub threads: Option<String>,
    /// The most memory that all scripts may hold [default: three quarters of what is free]
    #[arg(long, env = "LOADR_MAX_MEMORY", value_name = "BYTES", help_heading = "Bounds")]
    pub max_memory: Option<String>,
    /// The most memory that one virtual user's script may hold [default: 256MB]
    #[arg(long, env = "LOADR_MAX_VU_MEMORY", value_name = "BYTES", help_heading = "Bounds")]
    pub max_vu_memory: Option<String>,
    /// How long a script may compute without calling the host [default: 10s]
    #[arg(long, env = "LOADR_MAX_SCRIPT_TIME", value_name = "D", help_heading = "Bounds")]
    pub max_script_time: Option<String>,
    /// Series of one metric before they are folded together [default: 2000]
    #[arg(long, env = "LOADR_MAX_SERIES", value_name = "N", help_heading = "Bounds")]
    pub max_series: Option<String>,
}

/// Runs the command. `shown` is the command line as it is told in the report.
pub fn run(args: &RunArgs, matches: &ArgMatches, shown: Vec<String>) -> Exit {
    if args.outputs.iter().any(|spec| spec == "help") {
        anstream::print!("{}", output::spec::help());
        return Exit::Passed;
    }
    let legend = (!args.quiet && output::takes_keys()).then(|| Arc::new(Legend::default()));
    let mut spec = match session_spec(args, matches, shown, legend.clone()) {
        Ok(spec) => spec,
        Err(message) => {
            complain(&format!("error: {message}"));
            return Exit::InvalidConfig;
        }
    };
    let steered = legend.is_some() || args.control.is_some();
    for problem in environment_proxies().1 {
        complain(&format!("warning: {problem}"));
    }
    let control = if steered { Control::of_growing_run() } else { Control::new() };
    let board = Arc::new(Board::default());
    if args.control.is_some() {
        spec.outputs.push(Named { name: "control".into(), output: board.writer() });
    }
    let screen = args.dashboard.map(|address| (address, Screen::new()));
    if let Some((_, screen)) = &screen {
        spec.outputs.push(Named { name: "dashboard".into(), output: screen.writer() });
    }
    let prepared = if args.no_check { Session::prepare_unchecked(spec) } else { Session::prepare(spec) };
    let session = match prepared {
        Ok(session) => session,
        Err(error) => {
            complain(&error.to_string());
            return refusal(&error);
        }
    };
    if let Err(error) = signals::stop_on_signals(&control) {
        complain(&format!("warning: Ctrl-C will not stop gracefully: {error}"));
    }
    if let Some(profile) = session.plan().profile.filter(|_| !args.quiet) {
        complain(&profile.explain(session.plan()));
    }
    let controlled = match serve_control(args, &control, &board) {
        Ok(controlled) => controlled,
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::InvalidConfig;
        }
    };
    let dashboard = screen.map(|(address, screen)| Dashboard::start(address, args.dashboard_token.clone(), screen));
    let dashboard = match dashboard.transpose() {
        Ok(dashboard) => dashboard,
        Err(error) => {
            complain(&format!("error: {error}"));
            return Exit::InvalidConfig;
        }
    };
    if let Some(dashboard) = &dashboard {
        complain(&format!("dashboard at {}", dashboard.url()));
    }
    #[cfg(unix)]
    let keys = legend.and_then(|legend| super::keys::Keys::listen(&control, &legend));
    let result = session.run(control);
    // The terminal is as it was before anything is printed; who asks for the run finds it gone.
    #[cfg(unix)]
    drop(keys);
    drop(controlled);
    // Browsers are given the end of the run.
    drop(dashboard);
    match result {
        Ok(end) => {
            anstream::print!("{}", summary::render(&end.outcome.report, &Look::stdout(args.no_color)));
            conclude(&end)
        }
        Err(error) => {
            complain(&error.to_string());
            refusal(&error)
        }
    }
}

/// Starts the control's HTTP server where one is asked for, and says where it is.
fn serve_control(
    args: &RunArgs,
    control: &Control,
    board: &Arc<Board>,
) -> Result<Option<(Server, Option<ControlFile>)>, ControlError> {
    let Some(address) = args.control else { return Ok(None) };
    let token = args.control_token.clone().unwrap_or_else(serve::random_token);
    let spec = ControlSpec { address, allow_remote: args.control_allow_remote, token };
    let server = control::start(&spec, control.clone(), board.clone())?;
    let url = server.base_url();
    let file = args.control_file.as_deref().map(|path| ControlFile::write(path, &url, &spec.token)).transpose()?;
    // A token that the user has chosen is not to end up in a log.
    let token = if args.control_token.is_none() { format!(" token {}", spec.token) } else { String::new() };
    complain(&format!("control at {url}{token}"));
    Ok(Some((server, file)))
}

pub(super) fn refusal(error: &SessionError) -> Exit {
    match error {
        SessionError::Refused(refusal) if refusal.is_script() => Exit::ScriptError,
        SessionError::Refused(_) | SessionError::Output(_) => Exit::InvalidConfig,
        SessionError::Engine(_) => Exit::ScriptError,
        SessionError::Demo(_) => Exit::Failed,
    }
}

/// Tells what the summary does not, and finds the exit code.
pub(super) fn conclude(end: &SessionEnd) -> Exit {
    for warning in &end.outputs.warnings {
        let hint = if warning.hint.is_empty() { String::new() } else { format!(": {}", warning.hint) };
        complain(&format!("warning: {}{hint}", warning.message));
    }
    let script_failed = |error: &VuError| {
        complain(&error.to_string());
        if matches!(error, VuError::Aborted(_)) { Exit::ScriptAborted } else { Exit::ScriptError }
    };
    match &end.outcome.end {
        End::Completed if end.outcome.report.verdict.inconclusive => Exit::Unhealthy,
        End::Completed if !end.outcome.report.verdict.passed => Exit::ThresholdsFailed,
        End::Completed if !end.outputs.failed.is_empty() => Exit::Failed,
        End::Completed => Exit::Passed,
        End::Interrupted => Exit::Interrupted,
        End::Aborted { requested: true } => Exit::ScriptAborted,
        End::Aborted { requested: false } => Exit::ScriptError,
        End::ThresholdAbort => Exit::ThresholdsFailed,
        End::SetupFailed(error) | End::VusFailed(error) | End::TeardownFailed(error) => script_failed(error),
        End::SetupTimeout => Exit::SetupTimeout,
        End::TeardownTimeout => Exit::TeardownTimeout,
        End::Broken(reason) => {
            complain(&format!("error: {reason}"));
            Exit::Failed
        }
    }
}

pub(super) fn session_spec(
    args: &RunArgs,
    matches: &ArgMatches,
    shown: Vec<String>,
    legend: Option<Arc<Legend>>,
) -> Result<SessionSpec, String> {
    let mut layers = layers(args, matches)?;
    layers.push(Layer { source: Source::Default, options: environment_proxies().0 });
    if let Some(path) = &args.config {
        layers.push(Layer { source: Source::ConfigFile, options: config_file(path)? });
    }
    let mut env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    env.extend(pairs("-e", &args.env)?);
    let mut outputs = vec![output::progress(ProgressOptions { quiet: args.quiet, no_colour: args.no_color }, legend)];
    for spec in listed(matches, "outputs", &args.outputs, ',') {
        outputs.push(output::open(&spec).map_err(|error| error.to_string())?);
    }
    if let Some(path) = &args.summary_export {
        outputs.push(Named {
            name: format!("summary={}", path.display()),
            output: Box::new(output::json::SummaryFile::new(path)),
        });
    }
    if let Some(path) = &args.report {
        outputs.push(Named {
            name: format!("html={}", path.display()),
            output: Box::new(output::page::PageFile::new(path)),
        });
    }
    Ok(SessionSpec {
        script: args.script.clone(),
        layers,
        env,
        demo: args.demo,
        outputs,
        args: shown,
        verbose: args.verbose,
    })
}

/// The proxies that the environment names, as options, and what is wrong with them.
pub(super) fn environment_proxies() -> (Map<String, Value>, Vec<String>) {
    plan::proxy::of_environment(|name| std::env::var(name).ok())
}

/// `KEY=VALUE`, as a flag that may be repeated gives them.
pub(super) fn pairs(flag: &str, given: &[String]) -> Result<Vec<(String, String)>, String> {
    given
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(format!("{flag} `{pair}`: expected KEY=VALUE")),
        })
        .collect()
}

fn config_file(path: &std::path::Path) -> Result<Map<String, Value>, String> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("can't read the config file `{shown}`: {error}"))?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(options)) => Ok(options),
        Ok(_) => Err(format!("the config file `{shown}` must hold one JSON object")),
        Err(error) => Err(format!("the config file `{shown}` is not JSON: {error}")),
    }
}
