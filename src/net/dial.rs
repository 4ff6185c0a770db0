//! From an origin to an open socket: look-up, connect, the tunnel of a proxy, each measured.
//!
//! In this order: hosts that are blocked are not looked up; a Unix socket, where one is set, stands for every host; a
//! proxy, where one is set for the host; else the host's own addresses, those that are blocked left out
//! ([`super::race`] connects).

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::net::{TcpStream, UnixStream};

use super::connection::{Offer, Opening, Step};
use super::dns::{Addresses, Resolved, Resolver, Wanted};
use super::proxy::{self, Forwarding};
use super::race::race;
use super::selection::Caller;
use super::target::Origin;
use super::tls::Tls;
use super::wire::{Socket, Stream};
use super::{NetError, arrival, classify};
use crate::fault::Fault;
use crate::plan::addresses::is_within;
use crate::plan::{HostPattern, HttpOptions, LocalIps, Proxies, Proxy, ProxyScheme};

/// What a worker opens sockets with.
#[derive(Debug)]
pub(super) struct Dialer {
    resolver: Rc<Resolver>,
    local_ips: LocalIps,
    timeout: Duration,
    unix_socket: Option<Box<Path>>,
    blocked_addresses: Vec<IpNet>,
    blocked_hosts: Vec<HostPattern>,
    proxies: Proxies,
}

/// An open socket, and where it leads.
#[derive(Debug)]
pub(super) struct Dialed {
    pub(super) socket: Socket,
    /// The address at its other end: that of the proxy, where there is one; none at a Unix socket.
    pub(super) remote: Option<SocketAddr>,
    /// That requests on it are sent on by a proxy.
    pub(super) forwarding: Option<Forwarding>,
}

impl Dialer {
    /// `beside` is another dialer of the worker, and its options: what is known of names is shared where both ask alike.
    pub(super) fn new(options: &HttpOptions, beside: Option<(&Self, &HttpOptions)>) -> Self {
        let names = |options: &HttpOptions| (options.dns, options.dns_servers.clone(), options.hosts.clone());
        let resolver = match beside {
            Some((dialer, other)) if names(other) == names(options) => dialer.resolver.clone(),
            _ => Rc::new(Resolver::new(options)),
        };
        Self {
            resolver,
            local_ips: options.local_ips.clone(),
            timeout: options.connect_timeout,
            unix_socket: options.unix_socket.as_deref().map(Box::from),
            blocked_addresses: options.blacklist_ips.clone(),
            blocked_hosts: options.block_hostnames.clone(),
            proxies: options.proxies.clone(),
        }
    }

    /// Opens a socket to an origin, and enters what it took.
    pub(super) async fn dial(
        &self,
        tls: &Tls,
        origin: &Origin,
        offer: Offer,
        caller: &Caller,
        opening: &Opening,
    ) -> Result<Dialed, NetError> {
        if self.blocked_hosts.iter().any(|pattern| pattern.holds(origin.host())) {
            let detail = format!("host `{}` is blocked by the option `block_hostnames`", origin.host());
            return Err(NetError { fault: Fault::BLOCKED_HOST, detail });
        }
        if let Some(path) = origin.unix_socket().or(self.unix_socket.as_deref()) {
            let stream = Box::pin(self.measured(opening, path.display(), unix(path))).await?;
            let socket = Socket::new(Stream::Unix(stream), opening.meter.clone());
            return Ok(Dialed { socket, remote: None, forwarding: None });
        }
        if let Some(address) = origin.literal() {
            self.allowed(origin.host(), std::iter::once(address))?;
        }
        match self.proxies.of(origin.is_secure(), origin.host(), origin.port(), origin.literal()) {
            None => {
                // Boxed, as all that is seldom waited for: what is not, would lie in every request that opens a connection.
                let found = Box::pin(self.look_up(origin.into(), caller, opening)).await?;
                let addresses = self.allowed(origin.host(), found.addresses.iter().copied())?;
                let connecting = self.connect(&addresses, found.port, caller, opening);
                let (tcp, remote) = self.measured(opening, origin, connecting).await?;
                let socket = Socket::new(Stream::Tcp(tcp), opening.meter.clone());
                Ok(Dialed { socket, remote: Some(remote), forwarding: None })
            }
            Some(proxy) => Box::pin(self.through(proxy, tls, origin, offer, caller, opening)).await,
        }
    }

    async fn look_up(&self, wanted: Wanted<'_>, caller: &Caller, opening: &Opening) -> Result<Resolved, NetError> {
        opening.step.set(Step::LookUp);
        let found = self.resolver.resolve(wanted, caller).await?;
        opening.looking_up.set(match (opening.looking_up.get(), found.took) {
            (Some(before), Some(took)) => Some(before + took),
            (before, took) => before.or(took),
        });
        Ok(found)
    }

    /// The addresses that no option blocks.
    fn allowed(&self, host: &str, addresses: impl Iterator<Item = IpAddr>) -> Result<Addresses, NetError> {
        let mut blocked = None;
        let allowed: Addresses = addresses
            .filter(|&address| {
                let within = is_within(&self.blocked_addresses, address);
                blocked = blocked.or(within.then_some(address));
                !within
            })
            .collect();
        match blocked {
            Some(address) if allowed.is_empty() => {
                let whose = if host == address.to_string() { String::new() } else { format!(" of `{host}`") };
                let detail = format!("address `{address}`{whose} is blocked by the option `blacklist_ips`");
                Err(NetError { fault: Fault::BLOCKED_ADDRESS, detail })
            }
            _ => Ok(allowed),
        }
    }

    /// Waits for a connection as long as it may take, and enters how long it took.
    async fn measured<T>(
        &self,
        opening: &Opening,
        to: impl std::fmt::Display,
        connecting: impl Future<Output = Result<T, NetError>>,
    ) -> Result<T, NetError> {
        opening.step.set(Step::Connect);
        let begun = Instant::now();
        let connected = tokio::time::timeout(self.timeout, connecting).await;
        opening.connecting.set(Some(begun.elapsed()));
        connected.unwrap_or_else(|_| {
            let to = opening.remote.get().map_or_else(|| to.to_string(), |remote| remote.to_string());
            let detail = format!("connect to `{to}` failed: no answer within {:?}", self.timeout);
            Err(NetError { fault: Fault::DIAL_TIMEOUT, detail })
        })
    }

    async fn connect(
        &self,
        addresses: &[IpAddr],
        port: u16,
        caller: &Caller,
        opening: &Opening,
    ) -> Result<(TcpStream, SocketAddr), NetError> {
        race(addresses, &opening.remote, port, |socket| {
            tcp(socket, self.local_ips.of_vu(caller.vu, socket.ip()), !self.local_ips.is_empty())
        })
        .await
    }

    async fn through(
        &self,
        proxy: &Proxy,
        tls: &Tls,
        origin: &Origin,
        offer: Offer,
        caller: &Caller,
        opening: &Opening,
    ) -> Result<Dialed, NetError> {
        let target = if proxy.scheme == ProxyScheme::Socks5 {
            let found = self.look_up(origin.into(), caller, opening).await?;
            let address = self.allowed(origin.host(), found.addresses.iter().copied())?.first().copied();
            address.map(|address| SocketAddr::new(address, found.port))
        } else {
            None
        };
        let unreachable = |error: NetError| match error.fault.side {
            crate::fault::Side::Generator => error,
            _ => {
                let detail = format!("the proxy `{proxy}` can't be reached: {}", error.detail);
                NetError { fault: Fault::PROXY_UNREACHABLE, detail }
            }
        };
        let wanted = Wanted { host: &proxy.host, port: proxy.port, literal: proxy.host.parse().ok() };
        let found = self.look_up(wanted, caller, opening).await.map_err(unreachable)?;
        let connecting = async {
            let connected = self.connect(&found.addresses, found.port, caller, opening).await;
            let (tcp, remote) = connected.map_err(unreachable)?;
            let stream = match proxy.scheme {
                ProxyScheme::Https => {
                    let shaken = tls.handshake_with_proxy(&proxy.host, tcp).await;
                    Stream::Proxy(Box::new(shaken.map_err(|(fault, why)| {
                        let detail = format!("TLS handshake with the proxy `{proxy}` failed: {why}");
                        NetError { fault, detail }
                    })?))
                }
                _ => Stream::Tcp(tcp),
            };
            let socket = Socket::new(stream, opening.meter.clone());
            // HTTP/2 is spoken with the target alone.
            if offer.http1 && proxy::forwards(proxy, origin) {
                return Ok(Dialed { socket, remote: Some(remote), forwarding: Some(Forwarding::of(proxy)) });
            }
            opening.step.set(Step::Tunnel);
            let socket = proxy::tunnel(proxy, origin, target, socket).await?;
            Ok(Dialed { socket, remote: Some(remote), forwarding: None })
        };
        self.measured(opening, proxy, connecting).await
    }
}

/// Connects to one address, from a certain one where `bound`.
async fn tcp(address: SocketAddr, local: Option<IpAddr>, bound: bool) -> Result<TcpStream, NetError> {
    let connected = match local {
        None if bound => {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let detail = format!("connect to `{address}` failed: `local_ips` has no {family} address to connect from");
            return Err(NetError { fault: Fault::DIAL, detail });
        }
        None => TcpStream::connect(address).await,
        Some(local) => match bind(local) {
            Ok(socket) => socket.connect(address).await,
            Err(error) => {
                let fault = if error.kind() == std::io::ErrorKind::AddrNotAvailable {
                    Fault::NO_LOCAL_PORTS
                } else {
                    classify::dial(&error)
                };
                let detail = format!("connect to `{address}` from `{local}` failed: {}", plain(&error));
                return Err(NetError { fault, detail });
            }
        },
    };
    match connected {
        Ok(tcp) => {
            // Only a closed socket refuses; the request then says so.
            let _ = tcp.set_nodelay(true);
            arrival::stamp(&tcp);
            Ok(tcp)
        }
        Err(error) => {
            let detail = format!("connect to `{address}` failed: {}", plain(&error));
            Err(NetError { fault: classify::dial(&error), detail })
        }
    }
}

/// A socket that connects from this address.
fn bind(local: IpAddr) -> std::io::Result<tokio::net::TcpSocket> {
    let socket = if local.is_ipv4() { tokio::net::TcpSocket::new_v4() } else { tokio::net::TcpSocket::new_v6() }?;
    // The port is chosen when it connects, so that each target may be given all of them. Where the kernel does not know
    // that, there are fewer ports and nothing else.
    #[cfg(target_os = "linux")]
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::IpBindAddressNoPort, &true);
    socket.bind(SocketAddr::new(local, 0))?;
    Ok(socket)
}

async fn unix(path: &Path) -> Result<UnixStream, NetError> {
    UnixStream::connect(path).await.map_err(|error| {
        let fault = match error.kind() {
            std::io::ErrorKind::NotFound => Fault::DIAL_REFUSED,
            _ => classify::dial(&error),
        };
        let detail = format!("connect to the Unix socket `{}` failed: {}", path.display(), plain(&error));
        NetError { fault, detail }
    })
}

/// The text of an error without `(os error 111)`, in lower case.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split_once(" (os error").map_or(&*text, |(before, _)| before);
    text.to_lowercase()
}
