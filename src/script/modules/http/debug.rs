//! `--http-debug`: requests and responses as lines of the log.

use crate::event::LogLevel;
use crate::plan::HttpDebug;
use crate::script::context::HostContext;
use crate::trace::{Requested, wire};

/// So many failed requests are told on each worker; of those that follow only how many there are.
const FAILED_TOLD: u64 = 20;

/// Tells a request, if it is one of those that are wanted.
pub(super) fn tell(host: &HostContext, wanted: HttpDebug, requested: &Requested) {
    match wanted {
        HttpDebug::Off => {}
        HttpDebug::Failed if requested.expected => {}
        HttpDebug::Failed => match host.count_debugged() {
            before @ 0..FAILED_TOLD => {
                host.log(LogLevel::Info, wire::text(requested, true));
                if before + 1 == FAILED_TOLD {
                    let more =
                        "more failed requests are counted here, not shown; the table of errors has an example of each";
                    host.log(LogLevel::Info, format!("http-debug: {more}"));
                }
            }
            // 10, 100, 1,000 ..: a line each for what would be thousands.
            before => {
                let left_out = before + 1 - FAILED_TOLD;
                if left_out >= 10 && 10_u64.pow(left_out.ilog10()) == left_out {
                    host.log(LogLevel::Info, format!("http-debug: {left_out} more failed requests so far"));
                }
            }
        },
        HttpDebug::Headers | HttpDebug::Full => {
            host.log(LogLevel::Info, wire::text(requested, wanted == HttpDebug::Full));
        }
    }
}
