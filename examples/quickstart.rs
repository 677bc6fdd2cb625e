//! The shortest server: each connection gets back what it sends.

use spargio::net::TcpListener;

#[spargio::main]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:7007").await?;
    println!("echoing on {}", listener.local_addr()?);
    loop {
        let (stream, _peer) = listener.accept().await?;
        spargio::spawn(async move {
            let mut buffer = Vec::with_capacity(4096);
            while let (Ok(1..), filled) = stream.read(buffer).await {
                let (sent, same) = stream.write_all(filled).await;
                buffer = same;
                sent?;
                buffer.clear();
            }
            std::io::Result::Ok(())
        })?;
    }
}
