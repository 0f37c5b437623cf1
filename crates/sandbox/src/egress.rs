//! stub
use crate::{Event, Grant};
use std::sync::Arc;
/// x
#[derive(Debug)]
pub struct Doors {
    /// x
    pub resolver: Option<std::net::UdpSocket>,
    /// x
    pub listeners: Vec<(u16, std::net::TcpListener)>,
}
/// x
pub trait Witness: Send + Sync + 'static {
    /// x
    fn saw(&self, event: Event);
}
/// x
#[derive(Default)]
pub struct Budget;
/// x
pub enum Rule {
    /// x
    Granted(Vec<Grant>),
}
/// x
pub async fn serve(
    _doors: Doors,
    _rule: Rule,
    _budget: Budget,
    _witness: Arc<dyn Witness>,
) -> std::io::Result<()> {
    std::future::pending().await
}
