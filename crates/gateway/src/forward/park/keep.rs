//! One call that its client may leave and come back to: what the server asks meanwhile is handed to the client, who
//! leaves with it and comes back with the answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mantlet_wire::{Id, Message};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Outcome, Visit};
use crate::client::Client;
use crate::path::from_server::{self, Context};
use crate::refusal::{Reason, Refusal};
use crate::upstream::{Event, Link, Outgoing};
use crate::{Gateway, links, random};

/// How long a call waits for its client to come back.
const PARKED: Duration = Duration::from_secs(10 * 60);
/// Questions that come this close together are handed over together.
const TOGETHER: Duration = Duration::from_millis(25);

/// A question that the client has not answered: the server's id, and how it is put to the client.
type Question = (Id, serde_json::Value);

/// See the module's head.
pub(super) struct Stay {
    gateway: Arc<Gateway>,
    client: Arc<Client>,
    link: Arc<Link>,
    /// The handle under which the client comes back.
    state: String,
    /// The client, while it waits.
    here: Option<Visit>,
    visits: mpsc::Receiver<Visit>,
    may_ask: bool,
    open: HashMap<String, Question>,
    asked: u32,
    /// When what is open is handed over.
    hand_over_at: Option<Instant>,
    /// What the server asked for and the client did not declare.
    missing: Option<&'static str>,
}

impl Stay {
    pub(super) fn new(state: String, first: Visit, visits: mpsc::Receiver<Visit>, may_ask: bool) -> Self {
        Self {
            gateway: Arc::clone(&first.cx.gateway),
            client: Arc::clone(&first.cx.client),
            link: Arc::clone(&first.cx.link),
            state,
            here: Some(first),
            visits,
            may_ask,
            open: HashMap::new(),
            asked: 0,
            hand_over_at: None,
            missing: None,
        }
    }

    /// Runs the call to its end, or until the client stays away.
    pub(super) async fn keep(mut self, outgoing: Outgoing) {
        if self.may_ask && !self.ask_first().await {
            // Nothing of it has reached the server.
            self.give_up().await;
            return;
        }
        let (to_us, mut events) = mpsc::channel::<Event>(32);
        let link = Arc::clone(&self.link);
        let mut call = std::pin::pin!(link.call(outgoing, &to_us));
        while self.here.is_some() || !self.open.is_empty() {
            let deadline = self.deadline();
            let visitor_left = async {
                match self.here.as_mut() {
                    Some(visit) => visit.reply.closed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(event) = events.recv() => self.said(event).await,
                // What the server asks outside of any request is asked with this one (MCP 2025-11-25
                // basic/transports: a server may put its questions on the stream that belongs to none).
                () = link.asks(), if self.may_ask => self.put_held(),
                outcome = &mut call => {
                    while let Ok(event) = events.try_recv() {
                        if let Some(visit) = &self.here {
                            from_server::event(&visit.cx, event).await;
                        }
                    }
                    let answer = outcome.map_err(|error| links::failure(&link.server, error));
                    self.finish(answer).await;
                    return;
                }
                visit = self.visits.recv() => match visit {
                    Some(visit) => self.come(visit).await,
                    None => break,
                },
                () = visitor_left => break,
                () = sleep_until(deadline) => {
                    if self.hand_over_at.take().is_none() {
                        break;
                    }
                    self.hand_over();
                }
            }
        }
        // Leaving drops the call, which tells the server that it is cancelled.
        self.give_up().await;
    }

    fn deadline(&self) -> Instant {
        let patience = if self.open.is_empty() {
            self.link.server.settings.timeouts.call
        } else {
            PARKED
        };
        self.hand_over_at.unwrap_or_else(|| Instant::now() + patience)
    }

    /// What the server asked while no request could carry its questions is asked before the call goes out. False
    /// when the client stays away: then nobody wants the call any more.
    async fn ask_first(&mut self) -> bool {
        self.put_held();
        while !self.open.is_empty() {
            self.hand_over();
            let Ok(Some(visit)) = timeout(PARKED, self.visits.recv()).await else {
                return false;
            };
            self.take_answers(&visit).await;
            self.here = Some(visit);
        }
        self.hand_over_at = None;
        true
    }

    async fn said(&mut self, event: Event) {
        let question = match event {
            Event::Ask(question) if self.may_ask && question.method() != Some("ping") => question,
            other => {
                if let Some(visit) = &self.here {
                    from_server::event(&visit.cx, other).await;
                }
                return;
            }
        };
        let decided = match &self.here {
            Some(visit) => from_server::decide(&visit.cx, &question).await,
            // It will be asked when it comes back with the answers to what was asked before.
            None => from_server::decide(&self.outside(), &question).await,
        };
        match decided {
            Ok(()) => self.put(as_input(&question)),
            Err(refusal) => {
                if refusal.reason == Reason::ClientCannot {
                    self.missing = capability(&question);
                }
                let no = Message::error_response(question.id(), -32601, &refusal.public, None);
                drop(self.link.send(no).await);
            }
        }
    }

    fn outside(&self) -> Context {
        Context::outside(&self.gateway, &self.client, &self.link)
    }

    fn put_held(&mut self) {
        for question in self.link.take_held() {
            self.put(as_input(&question));
        }
    }

    fn put(&mut self, question: Option<Question>) {
        if let Some(question) = question {
            self.asked = self.asked.saturating_add(1);
            self.open.insert(format!("q{}", self.asked), question);
            self.hand_over_at.get_or_insert(Instant::now() + TOGETHER);
        }
    }

    /// The client is back, with answers; what is still open is asked again.
    async fn come(&mut self, visit: Visit) {
        self.take_answers(&visit).await;
        self.here = Some(visit);
        if !self.open.is_empty() {
            self.hand_over();
        }
    }

    async fn take_answers(&mut self, visit: &Visit) {
        for (name, answer) in &visit.responses {
            if let Some((id, _)) = self.open.remove(name) {
                drop(self.link.send(Message::response(&id, answer.clone())).await);
            }
        }
    }

    /// Tells the waiting client what is asked; it leaves with that, and with a new handle to come back under.
    fn hand_over(&mut self) {
        self.hand_over_at = None;
        let Some(visit) = self.here.take() else { return };
        let next = random::handle();
        if next.is_empty() || !self.client.parked.rename(&self.state, &next) {
            self.open.clear();
            return;
        }
        self.state.clone_from(&next);
        let requests = self.open.iter();
        let requests = requests.map(|(name, (_, request))| (name.clone(), request.clone()));
        drop(visit.reply.send(Outcome::InputRequired {
            requests: requests.collect(),
            state: next,
        }));
    }

    /// An answer that came while the client was away waits for it.
    async fn finish(mut self, answer: Result<Message, Refusal>) {
        let visit = match self.here.take() {
            Some(visit) => Some(visit),
            None => timeout(PARKED, self.visits.recv()).await.ok().flatten(),
        };
        self.client.parked.leave(&self.state);
        if let Some(visit) = visit {
            drop(visit.reply.send(Outcome::Done(answer, self.missing)));
        }
    }

    async fn give_up(mut self) {
        self.client.parked.leave(&self.state);
        for (id, _) in self.open.values() {
            let no = Message::error_response(Some(id), -32601, "the client did not answer", None);
            drop(self.link.send(no).await);
        }
        if let Some(visit) = self.here.take() {
            let server = &self.link.server;
            let seconds = server.settings.timeouts.call.as_secs();
            let late = Refusal::new(
                Reason::UpstreamTimeout,
                format!("server `{}` did not answer in {seconds} s", server.name),
            );
            drop(visit.reply.send(Outcome::Done(Err(late), None)));
        }
    }
}

/// The capability that a client must declare to be asked this.
fn capability(question: &Message) -> Option<&'static str> {
    match question.method()? {
        "sampling/createMessage" => Some("sampling"),
        "elicitation/create" => Some("elicitation"),
        "roots/list" => Some("roots"),
        _ => None,
    }
}

/// A question as a member of `inputRequests`, with the server's id.
fn as_input(question: &Message) -> Option<Question> {
    let id = question.id()?.clone();
    let mut request = serde_json::Map::new();
    request.insert("method".to_owned(), question.method().unwrap_or_default().into());
    if let Some(params) = question.params() {
        let mut params = params.to_value();
        if let Some(params) = params.as_object_mut() {
            params.remove("_meta");
            params.remove("task");
        }
        request.insert("params".to_owned(), params);
    }
    Some((id, serde_json::Value::Object(request)))
}

#[cfg(test)]
mod tests {
    use mantlet_wire::{Json, Version};
    use tokio::sync::oneshot;

    use super::*;
    use crate::testing::{client, gateway, link, settings};

    #[tokio::test(start_paused = true)]
    async fn a_call_whose_client_stays_away_from_the_first_question_never_reaches_the_server() {
        let directory = tempfile::tempdir().unwrap();
        let gateway = gateway(settings(&directory));
        let client = client(Version::LATEST, &serde_json::json!({ "elicitation": {} }));
        let (link, mut sent, _said) = link(&gateway);
        let ask = Message::request(&Id::Number(7), "elicitation/create", None);
        link.hold(ask).unwrap();
        let (reply, outcome) = oneshot::channel();
        let visit = Visit {
            cx: Context::outside(&gateway, &client, &link),
            responses: HashMap::new(),
            reply,
        };
        let (resume, visits) = mpsc::channel(1);
        client.parked.enter("first", [0; 32], &link.server.name, resume);
        let params = Json::from_value(&serde_json::json!({ "name": "purge" }));
        let outgoing = Outgoing {
            message: Message::request(&link.next_id(), "tools/call", Some(params)),
            name: None,
            mirrored: Vec::new(),
        };
        let kept = tokio::spawn(Stay::new("first".to_owned(), visit, visits, true).keep(outgoing));
        assert!(matches!(outcome.await, Ok(Outcome::InputRequired { .. })));
        kept.await.unwrap();
        assert!(client.parked.is_empty());
        let told = sent.try_recv().unwrap();
        assert_eq!((told.id(), told.method()), (Some(&Id::Number(7)), None));
        assert!(told.error().is_some(), "the server learns that nobody answers");
        assert!(sent.try_recv().is_err(), "the call was sent all the same");
    }
}
