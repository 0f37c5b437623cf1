//! TLS, and protocols that name no host.

use super::*;

#[tokio::test]
async fn tls_with_the_right_name_is_relayed() {
    let server = Server::echo().await;
    let cage = Cage::leading_to(server.address, 443);
    let said = hello(&[b"a.example"]);
    let mut stream = cage.dial().await;
    for byte in &said {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, said);
    let bytes = u64::try_from(said.len()).unwrap();
    let closed = Outcome::Closed {
        sent: bytes,
        received: bytes,
    };
    assert_eq!(cage.outcomes(2).await, [Outcome::Granted, closed]);
}

#[tokio::test]
async fn tls_with_another_name_is_reset_and_nobody_is_dialled() {
    let server = Server::echo().await;
    for said in [
        hello(&[b"evil.example"]),
        hello(&[b"a.example."]),
        hello(&[]),
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(),
    ] {
        let cage = Cage::leading_to(server.address, 443);
        assert!(cage.say(&said).await.is_err(), "a reset");
        let _ = cage.refusal().await;
        assert_eq!(cage.seen().len(), 1);
    }
    let cage = Cage::leading_to(server.address, 80);
    assert!(cage.say(&hello(&[b"a.example"])).await.is_err());
    assert_eq!(server.dialled(), 0);
}

#[tokio::test]
async fn the_host_may_speak_first() {
    let server = Server::new(|mut stream| async move {
        stream.write_all(b"220 mail\r\n").await?;
        let mut heard = vec![0; 64];
        let length = stream.read(&mut heard).await?;
        stream.write_all(&heard[..length]).await
    })
    .await;
    let cage = Cage::leading_to(server.address, 25);
    let mut stream = cage.dial().await;
    let mut heard = [0; 10];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220 mail\r\n");
    stream.write_all(b"EHLO me\r\n").await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"EHLO me\r\n");
    // What the program says is looked at all the same.
    for said in [
        hello(&[b"evil.example"]),
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_vec(),
    ] {
        let mut stream = cage.dial().await;
        stream.read_u8().await.unwrap();
        stream.write_all(&said).await.unwrap();
        let mut heard = Vec::new();
        assert!(stream.read_to_end(&mut heard).await.is_err());
        assert_eq!(heard, b"20 mail\r\n");
    }
}

#[tokio::test]
async fn one_side_may_end_before_the_other() {
    let server = Server::new(|mut stream| async move {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await?;
        stream
            .write_all(format!("{} bytes", heard.len()).as_bytes())
            .await
    })
    .await;
    let cage = Cage::leading_to(server.address, 6379);
    let mut stream = cage.dial().await;
    stream.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
    stream.write_all(&vec![b'x'; 300_000]).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"300014 bytes");
}

#[tokio::test]
async fn either_side_may_say_nothing() {
    let server = Server::new(|mut stream| async move {
        stream.write_all(b"noon\r\n").await?;
        stream.shutdown().await?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await?;
        Ok(())
    })
    .await;
    let cage = Cage::leading_to(server.address, 13);
    assert_eq!(cage.say(b"").await.unwrap(), b"noon\r\n");
    let mut stream = cage.dial().await;
    stream.shutdown().await.unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"noon\r\n");
    let outcomes = cage.outcomes(4).await;
    let closed = Outcome::Closed { sent: 0, received: 6 };
    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == closed).count(),
        2,
        "{outcomes:?}"
    );
    // Nobody speaks at all: it ends.
    let silent = Server::new(|mut stream| async move { stream.read_u8().await.map(drop) }).await;
    let cage = Cage::leading_to(silent.address, 13);
    assert!(cage.say(b"").await.is_err());
}
