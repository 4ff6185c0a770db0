//! The DNS servers of the option `dns_servers`, asked by hickory. The names of this machine's own files (`/etc/hosts`,
//! search domains) don't count then: the servers alone answer.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError as HickoryError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::{Resolver, TokioResolver};

use super::NetError;
use super::dns::{Addresses, no_such_host};
use crate::fault::Fault;
use crate::plan::DnsPolicy;

/// How long a server may take to answer, and how often it is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 1;

/// A worker's access to DNS servers.
pub(super) struct NameServers(TokioResolver);

impl std::fmt::Debug for NameServers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NameServers")
    }
}

impl NameServers {
    /// Made when first needed: it belongs to the event loop that it is made on.
    ///
    /// # Errors
    /// When the client can't be made.
    pub(super) fn new(servers: &[SocketAddr], policy: DnsPolicy) -> Result<Self, NetError> {
        let servers = servers.iter().map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|connection| connection.port = server.port());
            NameServerConfig::new(server.ip(), true, connections)
        });
        let mut options = ResolverOpts::default();
        // Answers are kept by `dns`, for all names alike.
        options.cache_size = 0;
        options.timeout = ANSWER_TIMEOUT;
        options.attempts = ATTEMPTS;
        options.use_hosts_file = ResolveHosts::Never;
        options.ip_strategy = match policy {
            DnsPolicy::OnlyIpv4 => LookupIpStrategy::Ipv4Only,
            DnsPolicy::OnlyIpv6 => LookupIpStrategy::Ipv6Only,
            DnsPolicy::PreferIpv6 => LookupIpStrategy::Ipv6AndIpv4,
            DnsPolicy::PreferIpv4 | DnsPolicy::Any => LookupIpStrategy::Ipv4AndIpv6,
        };
        let config = ResolverConfig::from_name_servers(servers.collect());
        let resolver = Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map_err(|error| NetError { fault: Fault::DNS, detail: format!("look-ups can't be made: {error}") })?;
        Ok(Self(resolver))
    }

    /// The addresses of a name, and how long they hold.
    pub(super) async fn look_up(&self, host: &str) -> Result<(Addresses, Duration), NetError> {
        let mut name = Name::from_utf8(host).map_err(|_| no_such_host(host))?;
        name.set_fqdn(true);
        let found = self.0.lookup_ip(name).await.map_err(|error| classify(host, &error))?;
        let ttl = found.as_lookup().answers().iter().map(|record| record.ttl).min().unwrap_or_default();
        let addresses: Addresses = found.iter().collect();
        if addresses.is_empty() { Err(no_such_host(host)) } else { Ok((addresses, Duration::from_secs(ttl.into()))) }
    }
}

fn classify(host: &str, error: &HickoryError) -> NetError {
    let refused = |code: ResponseCode| (Fault::DNS_SERVER, format!("the DNS server answered {code}"));
    let (fault, why) = match error {
        HickoryError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain | ResponseCode::NoError => return no_such_host(host),
            code => refused(code),
        },
        HickoryError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => return no_such_host(host),
        HickoryError::Dns(DnsError::ResponseCode(code)) => refused(*code),
        HickoryError::Timeout => (Fault::DNS_TIMEOUT, "the DNS server did not answer".to_owned()),
        HickoryError::Io(error) => {
            let exhausted = error.raw_os_error().and_then(super::classify::exhausted);
            let timed_out = error.kind() == io::ErrorKind::TimedOut;
            let fault = exhausted.unwrap_or(if timed_out { Fault::DNS_TIMEOUT } else { Fault::DNS });
            (fault, format!("the DNS server can't be reached: {error}"))
        }
        other => (Fault::DNS, other.to_string()),
    };
    NetError { fault, detail: format!("look-up of `{host}` failed: {why}") }
}
