//! Names in, addresses out, and where names may lead.

use super::*;

#[tokio::test]
async fn names_are_resolved_and_strangers_are_not() {
    let cage = Cage::new(granted(None, 443), 443, Budget::default(), dial::system());
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let ask = async |labels: &[&[u8]], kind| {
        socket
            .send_to(&question(labels, kind), cage.resolver)
            .await
            .unwrap();
        let mut answer = vec![0; 512];
        let length = socket.recv(&mut answer).await.unwrap();
        answer.truncate(length);
        (answer[3] & 0x0f, answer[7], answer[length - 4..].to_vec())
    };
    assert_eq!(ask(&[b"A", b"Example"], 1).await, (0, 1, vec![127, 99, 0, 1]));
    assert_eq!(
        ask(&[b"x", b"b", b"example"], 1).await,
        (0, 1, vec![127, 99, 0, 2])
    );
    assert_eq!(ask(&[b"a", b"example"], 1).await, (0, 1, vec![127, 99, 0, 1]));
    for kind in [28, 65] {
        let (code, answers, _) = ask(&[b"a", b"example"], kind).await;
        assert_eq!((code, answers), (0, 0));
    }
    let strangers: [&[&[u8]]; 8] = [
        &[b"b", b"example"],
        &[b"evil-b", b"example"],
        &[b"evil", b"example"],
        &[b"evil", b"example"],
        &[b"a.example"],
        &[b"a\0", b"b", b"example"],
        &[b"localhost"],
        &[b"127", b"0", b"0", b"1"],
    ];
    for stranger in strangers {
        let (code, answers, _) = ask(stranger, 1).await;
        assert_eq!((code, answers), (3, 0), "{stranger:?}");
    }
    // Trash gets no answer, and does no harm.
    socket.send_to(b"\0\x01\x80", cage.resolver).await.unwrap();
    assert_eq!(ask(&[b"a", b"example"], 1).await.0, 0);
    let names: Vec<String> = (cage.notebook.events().into_iter())
        .map(|event| match event {
            Event::Lookup { name } => name,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        "b.example",
        "evil-b.example",
        "evil.example",
        "a·example",
        "a·.b.example",
        "localhost",
        "127.0.0.1",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn addresses_and_ports_that_are_not_granted() {
    let server = Server::echo().await;
    let cage = Cage::leading_to(server.address, 443);
    for address in ["127.0.0.1", "127.99.0.200", "127.1.2.3"] {
        let mut stream = TcpStream::connect((address, cage.door.port())).await.unwrap();
        assert!(stream.read_u8().await.is_err());
    }
    let outcomes = cage.outcomes(3).await;
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Refused(_))),
        "{outcomes:?}"
    );
    let other = Cage::new(
        granted(Some(server.address), 443),
        8443,
        Budget::default(),
        dial::system(),
    );
    assert!(other.say(&hello(&[b"a.example"])).await.is_err());
    assert_eq!(other.refusal().await, "port 8443 is not granted for `a.example`");
    assert_eq!(server.dialled(), 0);
}

#[tokio::test]
async fn an_address_that_is_granted() {
    let server = Server::echo().await;
    let grant = Grant {
        host: Host::Address(Ipv4Addr::LOCALHOST),
        port: server.address.port(),
        dial: None,
        internal: false,
    };
    let port = server.address.port();
    let cage = Cage::new(
        Rule::Granted(vec![grant]),
        port,
        Budget::default(),
        dial::system(),
    );
    let mut stream = TcpStream::connect(("127.0.0.1", cage.door.port())).await.unwrap();
    stream.write_all(&hello(&[])).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, hello(&[]));
}

#[tokio::test]
async fn names_that_lead_inside_are_not_dialled() {
    let server = Server::echo().await;
    let address = server.address;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // A name that is public when first asked, and this machine after that (DNS rebinding).
    let rebinding: Lookup = Arc::new(move |_, _| {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Ok(vec![if first {
            "192.0.2.1:443".parse().unwrap()
        } else {
            address
        }])
    });
    let cage = Cage::new(granted(None, 443), 443, Budget::default(), rebinding);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    let outcomes = cage.outcomes(2).await;
    let why = |address: &str| {
        Outcome::Refused(format!(
            "`a.example` leads to {address}, which is no public address"
        ))
    };
    assert_eq!(outcomes, [why("192.0.2.1"), why("127.0.0.1")]);
    assert_eq!((server.dialled(), asked.load(Ordering::SeqCst)), (0, 2));
}

#[tokio::test]
async fn a_host_that_cannot_be_reached_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let cage = Cage::leading_to(address, 443);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert!(matches!(&cage.outcomes(1).await[0], Outcome::Failed(why) if why.contains("refused")));
    // A probe that says nothing is no breach either.
    drop(cage.dial().await);
    assert_eq!(
        cage.outcomes(2).await[1],
        Outcome::Failed("the program closed it without a word".to_owned())
    );
}

#[tokio::test]
async fn learning_names_everybody_and_reaches_public_hosts_only() {
    let lookup: Lookup = Arc::new(|_, _| Ok(vec!["127.0.0.1:443".parse().unwrap()]));
    let cage = Cage::new(Rule::Learn(Vec::new()), 443, Budget::default(), lookup);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    let mut stream = TcpStream::connect(("127.0.0.1", cage.door.port())).await.unwrap();
    stream.write_all(&hello(&[])).await.unwrap();
    assert!(stream.read_u8().await.is_err());
    let events = cage.outcomes(2).await;
    assert_eq!(
        events[1],
        Outcome::Refused("`127.0.0.1` is no public address".to_owned())
    );
    assert!(matches!(&cage.notebook.events()[0], Event::Connect { host, .. } if host == "a.example"));
}

#[tokio::test]
async fn the_public_way_in() {
    let server = Server::echo().await;
    let port = server.address.port();
    let grant = Grant {
        host: Host::Address(Ipv4Addr::LOCALHOST),
        port,
        dial: None,
        internal: false,
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap();
    let doors = Doors {
        resolver: None,
        listeners: vec![(port, listener)],
    };
    let notebook = Arc::new(Notebook::default());
    let task = tokio::spawn(crate::egress::serve(
        doors,
        Rule::Granted(vec![grant]),
        Budget::default(),
        notebook.clone(),
    ));
    let mut stream = TcpStream::connect(door).await.unwrap();
    stream.write_all(b"hello\n").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    assert_eq!(notebook.events().len(), 1);
    task.abort();
}
