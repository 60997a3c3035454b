//! Each fault of the proxy, seen from a client and from the server behind it.

use perf_testkit::proxy::{Silence, Traffic};
use perf_testkit::{FaultProxy, Faults};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU64;
use std::thread;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn bytes_connections_and_round_trips_are_counted() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut client = connect(&proxy);
    for _ in 0..3 {
        assert_eq!(ask(&mut client, b"hello").unwrap(), *b"hello");
    }
    let after_three = proxy.traffic();
    assert_eq!(figures(after_three), [1, 15, 15, 3]);

    // Two requests in one burst are one round trip.
    client.write_all(b"helloworld").unwrap();
    client.read_exact(&mut [0; 10]).unwrap();
    assert_eq!(figures(proxy.traffic() - after_three), [0, 10, 10, 1]);
    assert_eq!(proxy.open_connections(), 1);
}

#[test]
fn what_a_server_says_unasked_is_no_round_trip() {
    let proxy = FaultProxy::start(serve(|mut stream| {
        stream.write_all(b"hello")?;
        repeat(stream)
    }))
    .unwrap();
    let mut client = connect(&proxy);
    client.read_exact(&mut [0; 5]).unwrap();
    assert_eq!(figures(proxy.traffic()), [1, 0, 5, 0]);
    ask(&mut client, b"world").unwrap();
    assert_eq!(figures(proxy.traffic()), [1, 5, 10, 1]);
}

#[test]
fn the_end_of_one_direction_is_passed_on_and_the_other_stays_open() {
    let proxy = FaultProxy::start(serve(|mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard)?;
        stream.write_all(&heard)
    }))
    .unwrap();
    let mut client = connect(&proxy);
    let sent: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
    client.write_all(&sent).unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    client.read_to_end(&mut heard).unwrap();
    assert!(heard == sent, "the bytes arrive whole and in order");
}

#[test]
fn a_delay_holds_bytes_back_until_it_is_lifted() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut client = connect(&proxy);
    ask(&mut client, b"hello").unwrap();
    for far in [
        Faults::none().with_delay(HOUR),
        // The first draw of this seed is not zero.
        Faults::none().with_jitter(HOUR).with_seed(1),
        Faults::none().with_bandwidth(NonZeroU64::MIN),
    ] {
        proxy.set(far);
        let before = proxy.traffic();
        assert!(is_time_out(ask(&mut client, b"hello")), "{far:?}");
        assert_eq!(figures(proxy.traffic() - before), [0, 0, 0, 0]);
        proxy.set(Faults::none());
        client.read_exact(&mut [0; 5]).unwrap();
    }
    proxy.set(Faults::none().with_delay(Duration::from_millis(2)));
    assert_eq!(ask(&mut client, b"hello").unwrap(), *b"hello");
}

#[test]
fn a_black_hole_accepts_and_stays_silent_until_it_is_lifted() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut open = connect(&proxy);
    ask(&mut open, b"hello").unwrap();
    proxy.set(Faults::none().with_silence(Silence::Both));
    assert!(is_time_out(ask(&mut open, b"hello")));
    let mut new = connect(&proxy);
    assert!(is_time_out(ask(&mut new, b"world")));
    proxy.set(Faults::none());
    for (client, expected) in [(&mut open, b"hello"), (&mut new, b"world")] {
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *expected);
    }
}

#[test]
fn half_open_silences_one_direction() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut client = connect(&proxy);
    proxy.set(Faults::none().with_silence(Silence::ToClient));
    assert!(is_time_out(ask(&mut client, b"hello")));
    assert_eq!(
        figures(proxy.traffic()),
        [1, 5, 0, 0],
        "the server has heard it"
    );
    proxy.set(Faults::none().with_silence(Silence::ToServer));
    client.read_exact(&mut [0; 5]).unwrap();
    let before = proxy.traffic();
    assert!(is_time_out(ask(&mut client, b"world")));
    assert_eq!(figures(proxy.traffic() - before), [0, 0, 0, 0]);
}

#[test]
fn a_cut_resets_what_is_open_and_serves_what_is_new() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut clients: Vec<_> = (0..20).map(|_| connect(&proxy)).collect();
    for client in &mut clients {
        ask(client, b"hello").unwrap();
    }
    proxy.cut();
    assert_eq!(proxy.open_connections(), 0);
    for client in &mut clients {
        let error = client.read(&mut [0; 5]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert_eq!(ask(&mut connect(&proxy), b"hello").unwrap(), *b"hello");
}

#[test]
fn a_cut_reaches_connections_that_are_silent_or_delayed() {
    let proxy = FaultProxy::start(echo()).unwrap();
    proxy.set(Faults::none().with_silence(Silence::Both).with_delay(HOUR));
    let mut client = connect(&proxy);
    assert!(is_time_out(ask(&mut client, b"hello")));
    proxy.cut();
    assert_eq!(proxy.open_connections(), 0);
    let error = client.read(&mut [0; 5]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn refusing_keeps_what_is_open_and_accepting_uses_the_same_port() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut client = connect(&proxy);
    ask(&mut client, b"hello").unwrap();
    for _ in 0..10 {
        proxy.refuse();
        let refused = TcpStream::connect(proxy.address()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(ask(&mut client, b"hello").unwrap(), *b"hello");
        proxy.accept();
        assert_eq!(ask(&mut connect(&proxy), b"world").unwrap(), *b"world");
    }
}

#[test]
fn lost_connections_are_the_same_for_the_same_seed() {
    let lost = |seed| {
        let proxy = FaultProxy::start(echo()).unwrap();
        proxy.set(Faults::none().with_lost_connections(30).with_seed(seed));
        let lost = (0..200).map(|_| ask(&mut connect(&proxy), b"hello").is_err());
        lost.collect::<Vec<bool>>()
    };
    let first = lost(7);
    let share = first.iter().filter(|&&lost| lost).count();
    assert!((40..=80).contains(&share), "{share} of 200 at 30 %");
    assert_eq!(first, lost(7));
    assert_ne!(first, lost(8));
}

#[test]
fn lost_chunks_leave_a_gap() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let mut client = connect(&proxy);
    ask(&mut client, b"hello").unwrap();
    proxy.set(Faults::none().with_lost_chunks(100));
    assert!(is_time_out(ask(&mut client, b"gone!")));
    proxy.set(Faults::none());
    assert_eq!(ask(&mut client, b"world").unwrap(), *b"world");
}

#[test]
fn a_dead_upstream_is_a_reset() {
    let dead = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = FaultProxy::start(dead).unwrap();
    let error = ask(&mut connect(&proxy), b"hello").unwrap_err();
    assert!(!matches!(error.kind(), ErrorKind::WouldBlock), "{error}");
}

#[test]
fn dropping_the_proxy_closes_its_port_and_its_connections() {
    let proxy = FaultProxy::start(echo()).unwrap();
    let address = proxy.address();
    let mut client = connect(&proxy);
    ask(&mut client, b"hello").unwrap();
    drop(proxy);
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert!(!is_time_out(client.read(&mut [0; 5])));
}

#[tokio::test(start_paused = true)]
async fn paused_time_does_not_stop_the_proxy() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let proxy = FaultProxy::start(echo()).unwrap();
    proxy.set(Faults::none().with_delay(Duration::from_millis(2)));
    let mut client = tokio::net::TcpStream::connect(proxy.address())
        .await
        .unwrap();
    client.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, *b"hello");
    proxy.cut();
    assert!(client.read(&mut answer).await.is_err());
}

fn connect(proxy: &FaultProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    let silence = Duration::from_millis(100);
    stream.set_read_timeout(Some(silence)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, question: &[u8; 5]) -> io::Result<[u8; 5]> {
    stream.write_all(question)?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn is_time_out<T>(answer: io::Result<T>) -> bool {
    answer.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn figures(traffic: Traffic) -> [u64; 4] {
    [
        traffic.connections,
        traffic.bytes_to_server,
        traffic.bytes_to_client,
        traffic.round_trips,
    ]
}

/// A server that sends back what it hears, in groups of five bytes.
fn echo() -> SocketAddr {
    serve(repeat)
}

fn repeat(mut stream: TcpStream) -> io::Result<()> {
    let mut heard = [0; 10];
    loop {
        let bytes = stream.read(&mut heard)?;
        if bytes == 0 {
            return Ok(());
        }
        stream.write_all(&heard[..bytes])?;
    }
}

fn serve(answer: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}
