//! HTTP/1 in the clear: every request of a connection is read, must name the granted host, and is written anew, so
//! that neither a second request nor one hidden in another (request smuggling) reaches another host of the server.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use ::http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use super::book::Target;
use super::caged::{Caged, Orderly};
use super::connection::{Call, End, Host};
use super::report::plain;

type Line = client::Connection<TokioIo<Host>, Incoming>;

/// Proxies the requests of one connection. `host` is there when it was dialled already.
pub(super) async fn proxy(caged: Caged, call: &Arc<Call>, host: Option<Host>) -> Result<(), End> {
    let orderly = caged.orderly();
    let (line, lines) = oneshot::channel();
    let exchange = Arc::new(Exchange {
        call: Arc::clone(call),
        host: Mutex::new(host),
        line: Mutex::new(Some(line)),
        sender: tokio::sync::Mutex::new(None),
        has_begun: AtomicBool::new(false),
        end: Mutex::new(None),
        near: Mutex::new(None),
        far: Mutex::new(None),
    });
    let service = {
        let exchange = Arc::clone(&exchange);
        hyper::service::service_fn(move |request| Arc::clone(&exchange).answer(request))
    };
    let serving = server::Builder::new()
        .auto_date_header(false)
        .half_close(true)
        .preserve_header_case(true)
        .serve_connection(TokioIo::new(caged), service)
        .with_upgrades();
    let driving = async {
        // The end of the line to the host, whatever it is, shows where it matters: in the answers.
        if let Ok(line) = lines.await {
            let _ = Line::with_upgrades(line).await;
        }
    };
    tokio::select! {
        end = exchange.run(serving, driving, orderly) => end,
        () = call.tally.idle(call.patience().idle) => Err(End::Over),
    }
}

/// The state of one connection.
struct Exchange {
    call: Arc<Call>,
    host: Mutex<Option<Host>>,
    /// Takes the line to the host to where it is driven.
    line: Mutex<Option<oneshot::Sender<Line>>>,
    sender: tokio::sync::Mutex<Option<client::SendRequest<Incoming>>>,
    has_begun: AtomicBool,
    /// Why the connection was broken off from within.
    end: Mutex<Option<End>>,
    /// The program's side of an upgrade, kept whether there is one or not: hyper hands the socket to it at the end of
    /// a connection on which one was asked for.
    near: Mutex<Option<OnUpgrade>>,
    /// The host's side, once it has agreed to one.
    far: Mutex<Option<OnUpgrade>>,
}

/// Breaks off the connection; the reason lies in the exchange.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken off")]
struct Stop;

type Serving<S> = server::UpgradeableConnection<TokioIo<Caged>, S>;

impl Exchange {
    async fn run<S>(
        &self,
        serving: Serving<S>,
        driving: impl Future<Output = ()>,
        orderly: Orderly,
    ) -> Result<(), End>
    where
        S: hyper::service::HttpService<Incoming, ResBody = Incoming, Error = Stop>,
    {
        tokio::pin!(serving, driving);
        let hello = tokio::time::sleep(self.call.patience().hello);
        tokio::pin!(hello);
        let mut is_driven = false;
        let served = loop {
            tokio::select! {
                served = serving.as_mut() => break served,
                () = driving.as_mut(), if !is_driven => {
                    is_driven = true;
                    // The host has closed: so do we, once its last answer is through.
                    serving.as_mut().graceful_shutdown();
                }
                () = hello.as_mut(), if !self.has_begun.load(Ordering::Relaxed) => {
                    return Err(End::Refused("its first request was not complete in time".to_owned()));
                }
            }
        };
        if let Some(end) = take(&self.end) {
            return Err(end);
        }
        match (served, take(&self.far)) {
            (Ok(()), Some(far)) => {
                let near = take(&self.near).ok_or(End::Over)?;
                let relaying = async {
                    let (near, far) = tokio::try_join!(near, far).map_err(|_| End::Over)?;
                    let (mut near, mut far) = (TokioIo::new(near), TokioIo::new(far));
                    let relayed = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    relayed.map_err(|_| End::Over)?;
                    orderly.confirm();
                    Ok(())
                };
                let driving = async {
                    if !is_driven {
                        driving.await;
                    }
                };
                tokio::join!(relaying, driving).0
            }
            (Ok(()), None) => {
                orderly.confirm();
                Ok(())
            }
            (Err(error), _) if error.is_parse() => {
                Err(End::Refused(format!("its request cannot be read: {error}")))
            }
            (Err(_), _) => Err(End::Over),
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Incoming>, Stop> {
        self.has_begun.store(true, Ordering::Relaxed);
        self.pass(request).await.map_err(|end| {
            put(&self.end, end);
            Stop
        })
    }

    async fn pass(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>, End> {
        judge(&request, &self.call.target).map_err(End::Refused)?;
        put(&self.near, hyper::upgrade::on(&mut request));
        let wants_upgrade = rewrite(&mut request);
        let mut sender = self.sender.lock().await;
        if sender.is_none() {
            *sender = Some(self.open().await?);
        }
        let sender = sender.as_mut().ok_or(End::Over)?;
        sender.ready().await.map_err(|_| End::Over)?;
        let mut response = sender.send_request(request).await.map_err(|_| End::Over)?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            if !wants_upgrade {
                return Err(End::Over);
            }
            put(&self.far, hyper::upgrade::on(&mut response));
        }
        // Ours is the framing from here on, and it is that of 1.1; an older program is given its own by hyper.
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    async fn open(&self) -> Result<client::SendRequest<Incoming>, End> {
        let host = match take(&self.host) {
            Some(host) => host,
            None => self.call.dial().await?,
        };
        let (sender, line) = client::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(host))
            .await
            .map_err(|_| End::Over)?;
        let driver = take(&self.line).ok_or(End::Over)?;
        driver.send(line).map_err(|_| End::Over)?;
        Ok(sender)
    }
}

fn put<T>(place: &Mutex<Option<T>>, what: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(what);
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether a request is for the granted host, in whatever way it names one, and leaves no doubt about its end.
fn judge<B>(request: &Request<B>, target: &Target) -> Result<(), String> {
    let (uri, headers) = (request.uri(), request.headers());
    if request.method() == Method::CONNECT {
        return Err("its request is CONNECT, which would lead anywhere".to_owned());
    }
    // RFC 9112 §3.2.2: a server goes by the target when it has a host, and by `Host` otherwise.
    if let Some(authority) = uri.authority() {
        if uri.scheme_str() != Some("http") {
            return Err(format!(
                "its request is for `{}`, which is no `http` address",
                plain(&uri.to_string())
            ));
        }
        judge_host(authority.as_str(), target)?;
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => judge_host(&String::from_utf8_lossy(host.as_bytes()), target)?,
        (Some(_), Some(_)) => return Err("its request has more than one `Host`".to_owned()),
        (None, _) if matches!(target.who, super::book::Who::Name(_)) => {
            return Err("its request has no `Host`".to_owned());
        }
        (None, _) => {}
    }
    judge_framing(headers)
}

fn judge_host(said: &str, target: &Target) -> Result<(), String> {
    let is_digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let (name, port) = match said.rsplit_once(':') {
        Some((name, port)) if is_digits(port) => (name, Some(port)),
        _ => (said, None),
    };
    let fits = port.is_none_or(|port| port.parse() == Ok(target.port));
    if target.who.is(name) && fits {
        return Ok(());
    }
    Err(format!(
        "its request is for `{}`, not for `{}`",
        plain(said),
        target.who
    ))
}

/// hyper writes the framing anew; what it might read otherwise than a server does is refused all the same.
fn judge_framing(headers: &HeaderMap) -> Result<(), String> {
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    if encodings.next().is_some_and(|value| !is_chunked(value)) || encodings.next().is_some() {
        return Err("its request has a `Transfer-Encoding` other than `chunked`".to_owned());
    }
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH)
        || headers.get_all(CONTENT_LENGTH).iter().count() > 1
    {
        return Err("its request has more than one length".to_owned());
    }
    let mut expectations = headers.get_all(EXPECT).iter();
    let is_continue = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if expectations.next().is_some_and(|value| !is_continue(value)) || expectations.next().is_some() {
        return Err("its request has an `Expect` other than `100-continue`".to_owned());
    }
    // A proxy further on removes what `Connection` names, and then the request means something else.
    let kept = [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT];
    if connection(headers).any(|name| kept.iter().any(|kept| kept.as_str() == name)) {
        return Err("its request would have its own host or length removed".to_owned());
    }
    Ok(())
}

/// What the `Connection` headers name, in lower case (RFC 9110 §7.6.1).
fn connection(headers: &HeaderMap) -> impl Iterator<Item = String> {
    headers.get_all(CONNECTION).iter().flat_map(|value| {
        let names = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        names
            .split(',')
            .map(|name| name.trim().to_owned())
            .collect::<Vec<_>>()
    })
}

/// Leaves out what is meant for the next hop only. Answers whether an upgrade to WebSocket is asked for: any other
/// (`h2c`, for one, where each request names its host again) is not passed on, and the request goes on without it.
fn rewrite<B>(request: &mut Request<B>) -> bool {
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    let headers = request.headers_mut();
    let names: Vec<String> = connection(headers).collect();
    let wants_upgrade = {
        let mut upgrades = headers.get_all(UPGRADE).iter();
        names.iter().any(|name| name == "upgrade")
            && upgrades
                .next()
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
            && upgrades.next().is_none()
    };
    for name in &names {
        if let Ok(name) = HeaderName::try_from(name)
            && !(wants_upgrade && name == UPGRADE)
        {
            headers.remove(name);
        }
    }
    // We have answered `100 Continue` ourselves when the body is read.
    for name in [CONNECTION, TE, EXPECT] {
        headers.remove(name);
    }
    for name in ["keep-alive", "proxy-connection", "http2-settings"] {
        headers.remove(name);
    }
    if wants_upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    } else {
        headers.remove(UPGRADE);
        if names.iter().any(|name| name == "close") {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
    wants_upgrade
}

#[cfg(test)]
mod tests {
    use super::super::opening::tests::target;
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    }

    fn fits(target: &Target, request: &Request<()>) -> bool {
        judge(request, target).is_ok()
    }

    #[test]
    fn the_host_must_be_the_granted_one() {
        let api = target("api.example", 8080);
        for host in ["api.example", "API.Example", "api.example:8080"] {
            assert!(fits(&api, &request("/", &[("host", host)])), "{host}");
        }
        for host in [
            "evil.example",
            "api.example:80",
            "api.example:",
            "api.example:+8080",
            "api.example:8080:8080",
            "api.example.",
            "user@api.example",
            "evil.example@api.example",
            "api.example@evil.example",
            "api.example, evil.example",
            "api.example evil.example",
            "api.example/evil.example",
            "http://api.example",
            "[::1]",
            "198.18.0.1",
            "",
        ] {
            assert!(!fits(&api, &request("/", &[("host", host)])), "{host}");
        }
        assert!(!fits(&api, &request("/", &[])));
        assert!(!fits(
            &api,
            &request("/", &[("host", "api.example"), ("host", "api.example")])
        ));
        assert!(!fits(
            &api,
            &request("/", &[("host", "api.example"), ("host", "evil.example")])
        ));
    }

    #[test]
    fn so_must_the_target() {
        let api = target("api.example", 80);
        let host = &[("host", "api.example")];
        for good in ["/", "/a?b", "http://api.example/a", "http://API.example:80/", "*"] {
            assert!(fits(&api, &request(good, host)), "{good}");
        }
        for bad in [
            "http://evil.example/",
            "http://api.example@evil.example/",
            "http://evil.example@api.example/",
            "http://api.example:81/",
            "https://api.example/",
            "ftp://api.example/",
            "api.example:80",
            "evil.example:80",
        ] {
            assert!(!fits(&api, &request(bad, host)), "{bad}");
        }
        assert!(!fits(
            &api,
            &request("http://api.example/", &[("host", "evil.example")])
        ));
        let mut connect = request("api.example:80", host);
        *connect.method_mut() = Method::CONNECT;
        assert!(!fits(&api, &connect));
    }

    #[test]
    fn an_address_needs_no_host() {
        let address = target("10.0.0.1", 80);
        assert!(fits(&address, &request("/", &[])));
        assert!(fits(&address, &request("/", &[("host", "10.0.0.1:80")])));
        assert!(!fits(&address, &request("/", &[("host", "evil.example")])));
    }

    #[test]
    fn doubtful_lengths_are_refused() {
        let api = target("api.example", 80);
        for (name, value) in [
            ("transfer-encoding", "gzip, chunked"),
            ("transfer-encoding", "xchunked"),
            ("transfer-encoding", "chunked, identity"),
            ("expect", "y 100-continue"),
            ("connection", "close, Host"),
            ("connection", "content-length"),
            ("connection", "Transfer-Encoding"),
        ] {
            assert!(
                !fits(&api, &request("/", &[("host", "api.example"), (name, value)])),
                "{name}: {value}"
            );
        }
        for twice in [
            [("content-length", "1"), ("content-length", "1")],
            [("content-length", "1"), ("transfer-encoding", "chunked")],
            [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            [("expect", "100-continue"), ("expect", "100-continue")],
        ] {
            let headers = [&[("host", "api.example")][..], &twice].concat();
            assert!(!fits(&api, &request("/", &headers)), "{twice:?}");
        }
    }

    #[test]
    fn what_is_for_the_next_hop_is_left_out() {
        let mut plain = request(
            "http://api.example/a?b",
            &[
                ("host", "api.example"),
                ("connection", "Upgrade, HTTP2-Settings, X-Mine"),
                ("connection", "close"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAMAAABk"),
                ("x-mine", "1"),
                ("keep-alive", "5"),
                ("expect", "100-continue"),
                ("accept", "*/*"),
            ],
        );
        assert!(!rewrite(&mut plain));
        assert_eq!(plain.uri(), "/a?b");
        let left: Vec<&str> = plain.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["host", "accept", "connection"]);
        assert_eq!(plain.headers()[CONNECTION], "close");
        let socket = &[
            ("host", "a"),
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        ];
        let mut socket = request("/", socket);
        assert!(rewrite(&mut socket));
        assert_eq!(socket.headers()[UPGRADE], "WebSocket");
        assert_eq!(socket.headers()[CONNECTION], "Upgrade");
        for not in [
            &[("upgrade", "websocket")][..],
            &[("connection", "upgrade"), ("upgrade", "websocket, h2c")],
            &[
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("upgrade", "h2c"),
            ],
        ] {
            let mut not = request("/", not);
            assert!(!rewrite(&mut not));
            assert!(!not.headers().contains_key(UPGRADE));
        }
    }
}
