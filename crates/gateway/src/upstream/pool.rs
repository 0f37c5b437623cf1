//! The outgoing HTTP client: pooled connections, verified TLS, no redirects, no cookies, no proxies, no
//! decompression. Nothing else in the gateway opens a connection.
#![expect(
    clippy::disallowed_types,
    reason = "the one place that makes the outgoing HTTP client"
)]

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::LinkError;

/// Longest wait for a TCP connection.
const CONNECT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(60);
/// Idle connections kept per origin.
const MAX_IDLE: usize = 64;

/// See the module's head. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    roots: bool,
}

impl Pool {
    /// The platform's roots are loaded only when a server is reached over TLS: they cost memory and start-up.
    pub(crate) fn new(tls: bool) -> Result<Self, LinkError> {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.enforce_http(false);
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let failed = |what: &str| LinkError::Unavailable(format!("TLS could not be set up: {what}"));
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(&error.to_string()))?;
        let mut roots = rustls::RootCertStore::empty();
        if tls {
            let native = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(native.certs);
            if roots.is_empty() {
                return Err(failed(
                    "the platform has no root certificates (install `ca-certificates`)",
                ));
            }
        }
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .retry_canceled_requests(false)
            .build(https);
        Ok(Self { client, roots: tls })
    }

    /// Whether servers can be reached over TLS.
    pub(crate) fn has_roots(&self) -> bool {
        self.roots
    }

    /// Sends one request. A redirect comes back as the response that it is.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, LinkError> {
        self.client.request(request).await.map_err(|error| {
            let cause = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            LinkError::Unavailable(format!("{error}: {cause}"))
        })
    }
}
