//! A running server, held by the line to its cage or to its keeper: what it tries is recorded, its network is served, and
//! it is ended when it must be.

use std::sync::Arc;
use std::time::Duration;

use mantlet_config::cage::OnBreach;
use mantlet_sandbox::egress::{self, Budget, Rule};
use mantlet_sandbox::{Cage, Event, Grant, Said};
use tokio::sync::{mpsc, watch};

use crate::breach::{Fate, Witness};

/// From the end of its input to SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_millis(1_500);
/// Events of the egress that wait to be recorded.
const EVENTS: usize = 256;

/// See the module's head. Dropping it ends the server at once.
#[derive(Debug)]
pub(super) struct Held {
    orders: mpsc::Sender<Order>,
    gone: watch::Receiver<bool>,
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Terminate,
    Kill,
}

impl Held {
    pub(super) fn new(cage: Cage, granted: Vec<Grant>, policy: OnBreach, witness: Witness) -> Self {
        let (orders, taken) = mpsc::channel(4);
        let (tell, gone) = watch::channel(false);
        let holder = Holder {
            cage,
            witness,
            policy,
        };
        tokio::spawn(holder.hold(granted, taken, tell));
        Self { orders, gone }
    }

    pub(super) async fn end(&self) {
        for order in [Order::Terminate, Order::Kill] {
            if self.goes().await {
                return;
            }
            let _ended = self.orders.send(order).await;
        }
        self.goes().await;
    }

    async fn goes(&self) -> bool {
        let mut gone = self.gone.clone();
        let gone = gone.wait_for(|gone| *gone);
        tokio::time::timeout(GRACE, gone).await.is_ok()
    }

    pub(super) fn kill(&self) {
        // A full queue holds a kill already, or ends with the holder.
        let _holds_one = self.orders.try_send(Order::Kill);
    }
}

/// Holds one server until it has ended.
struct Holder {
    cage: Cage,
    witness: Witness,
    policy: OnBreach,
}

impl Holder {
    async fn hold(
        mut self,
        granted: Vec<Grant>,
        mut orders: mpsc::Receiver<Order>,
        gone: watch::Sender<bool>,
    ) {
        let (teller, mut told) = mpsc::channel(EVENTS);
        let egress = self.cage.doors().map(|doors| {
            let rule = Rule::Granted(granted);
            tokio::spawn(egress::serve(
                doors,
                rule,
                Budget::default(),
                Arc::new(Teller(teller)),
            ))
        });
        loop {
            let event = tokio::select! {
                said = self.cage.said() => match said {
                    Ok(Some(Said::Saw(event))) => event,
                    // No server is started in a recording cage.
                    Ok(Some(Said::Learnt(_))) => continue,
                    // What held it goes as well: then nothing is left.
                    Ok(Some(Said::Ended(_))) => continue,
                    Ok(None) | Err(_) => break,
                },
                Some(event) = told.recv() => event,
                order = orders.recv() => {
                    match order {
                        Some(Order::Terminate) => self.cage.terminate(),
                        Some(Order::Kill) | None => self.cage.kill(),
                    }
                    if order.is_none() {
                        break;
                    }
                    continue;
                }
            };
            if self.witness.saw(&event, self.policy).await == Fate::Ends {
                self.cage.kill();
            }
        }
        // At the other end the loss of the line ends the server, whatever state that is in.
        drop(self.cage);
        if let Some(egress) = egress {
            egress.abort();
        }
        gone.send_replace(true);
    }
}

/// Hands on what the egress saw; when there is more than can be recorded, the rest is lost with it.
struct Teller(mpsc::Sender<Event>);

impl egress::Witness for Teller {
    fn saw(&self, event: Event) {
        drop(self.0.try_send(event));
    }
}
