//! Budgets, floods, and the end of it all.

use super::*;

#[tokio::test]
async fn connections_that_say_nothing_are_dropped_and_counted() {
    let server = Server::echo().await;
    let budget = Budget {
        connections: 4,
        ..Budget::default()
    };
    let cage = Cage::with(server.address, 443, budget);
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = cage.dial().await;
        stream.write_all(&hello(&[b"a.example"])[..20]).await.unwrap();
        open.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert_eq!(cage.refusal().await, "4 connections are open already");
    let outcomes = cage.outcomes(5).await;
    assert!(
        outcomes[1..]
            .iter()
            .all(|outcome| matches!(outcome, Outcome::Refused(why) if why.contains("in time")))
    );
    // Their places are free again.
    let mut stream = cage.dial().await;
    stream.write_all(&hello(&[b"a.example"])).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 22);
    for mut stream in open {
        assert!(stream.read_u8().await.is_err());
    }
}

#[tokio::test]
async fn a_flood_is_bounded_and_granted_connections_are_told() {
    let server = Server::echo().await;
    let budget = Budget {
        per_minute: 150,
        ..Budget::default()
    };
    let cage = Cage::with(server.address, 6379, budget);
    for _ in 0..140 {
        let mut stream = TcpStream::connect(("127.50.0.1", cage.door.port()))
            .await
            .unwrap();
        assert!(stream.read_u8().await.is_err());
    }
    let mut stream = cage.dial().await;
    stream.write_all(b"PING\r\n").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'P');
    let outcomes = cage.seen();
    assert_eq!(outcomes.len(), 101);
    assert_eq!(outcomes[100], Outcome::Granted);
    for _ in 0..9 {
        let _ = TcpStream::connect(("127.50.0.1", cage.door.port()))
            .await
            .unwrap()
            .read_u8()
            .await;
    }
    assert!(cage.say(b"PING\r\n").await.is_err(), "the 151st");
    assert_eq!(
        cage.egress.account.admit().unwrap_err(),
        "150 connections were opened in this minute already"
    );
}

#[tokio::test]
async fn bytes_and_idle_time_are_bounded() {
    let server = Server::echo().await;
    let budget = Budget {
        bytes: Some(10_000),
        idle: Duration::from_millis(300),
        ..Budget::default()
    };
    let cage = Cage::with(server.address, 6379, budget);
    let mut idle = cage.dial().await;
    idle.write_all(b"PING\r\n").await.unwrap();
    idle.read_exact(&mut [0; 6]).await.unwrap();
    assert!(idle.read_u8().await.is_err(), "idle for too long");
    let closed = Outcome::Closed { sent: 6, received: 6 };
    assert_eq!(cage.outcomes(2).await, [Outcome::Granted, closed]);
    assert!(
        cage.say(&[b"SET\r\n".as_slice(), &[b'x'; 100_000]].concat())
            .await
            .is_err()
    );
    let outcomes = cage.outcomes(5).await;
    assert_eq!(
        outcomes[3],
        Outcome::Refused("all 10000 bytes that it may move are used".to_owned())
    );
    assert!(cage.say(b"PING\r\n").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_ends_with_it_and_is_told() {
    let server = Server::echo().await;
    let cage = Cage::leading_to(server.address, 6379);
    let mut stream = cage.dial().await;
    stream.write_all(b"PING\r\n").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    cage.task.abort();
    assert!(stream.read_u8().await.is_err());
    let closed = Outcome::Closed { sent: 6, received: 6 };
    assert_eq!(cage.outcomes(2).await, [Outcome::Granted, closed]);
}
