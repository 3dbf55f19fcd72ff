//! The server: every room built in its order, started, and ended in the reverse one.
//!
//! Order matters in four places, written where it happens: the folder is owned before the store is opened; sockets are
//! bound before anything learns its address; sessions that a crash left open are ended before encoders are let in;
//! viewers may ask before encoders may come.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use headwater_control::credentials::Credentials;
use headwater_control::delivery::Delivering;
use headwater_control::sessions::Sessions;
use headwater_control::{Control, Endpoints};
use headwater_functions::Functions;
use headwater_gateway::Gateway;
use headwater_ingest::ca::LocalCa;
use headwater_ingest::{Limits, TlsConnection};
use headwater_interact::Interact;
use headwater_live::Hub;
use headwater_model::Timestamp;
use headwater_sites::{Sites, WebAddress};
use headwater_store::{Blobs, SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adapters::{Channels, StreamKeys, Web};
use crate::config::{Config, TlsListen};
use crate::http_server;
use crate::metrics;
use crate::open_files;
use crate::private;
use crate::server_file::{self, Addresses, Owned};

/// Where the TLS listener is tried when nobody says where: the port of the protocol, then one that needs no privilege.
const TLS_ADDRESSES: [&str; 2] = ["0.0.0.0:443", "0.0.0.0:8443"];
/// How often what has had its time is removed: expired keys, sessions older than 60 days.
const HOUSEKEEPING: Duration = Duration::from_secs(600);

/// A running server.
pub struct Server {
    /// Where it listens.
    pub addresses: Addresses,
    hub: Hub,
    interact: Interact,
    functions: Functions,
    tasks: JoinSet<()>,
    /// Ends the doors: no new connections, no new requests.
    doors: CancellationToken,
    /// Ends the work behind them.
    work: CancellationToken,
    _owned: Owned,
}

struct Listeners {
    api: TcpListener,
    web: TcpListener,
    rtmp: TcpListener,
    tls: Option<TcpListener>,
}

impl Server {
    /// Starts everything.
    ///
    /// # Errors
    /// If the data folder is owned by another server, an address is taken, or the state cannot be read.
    pub async fn start(config: Config) -> anyhow::Result<Server> {
        open_files::prepare();
        let owned = Owned::take(&config.data)?;
        let sqlite = SqliteStore::open(&config.data.join("state.db"))
            .await
            .with_context(|| format!("open the state in {}", config.data.display()))?;
        let commits = Arc::clone(sqlite.commits());
        let store: Arc<dyn Store> = Arc::new(sqlite);
        let blobs = Blobs::in_folder(&config.data.join("objects")).context("open the objects")?;

        // Bound early, so that everything below knows the real ports; served late, when everything behind is up.
        let listeners = bind(&config).await?;
        let addresses = addresses(&config, &listeners)?;
        let web_port = listeners.web.local_addr()?.port();
        let realm = config.realm.clone();

        let credentials = Credentials::new(realm.clone(), Arc::clone(&store));
        let root = credentials.root().await.context("make the owner's access key")?;
        owned.write_credentials(&server_file::Credentials {
            access_key_id: root.access_key_id,
            secret_access_key: root.secret_access_key,
            region: realm.region.clone(),
        })?;

        let interact = Interact::new(Arc::clone(&store), realm.clone());
        let sessions = Arc::new(Sessions::new(realm.clone(), Arc::clone(&store), interact.clone()));
        let ended = sessions.end_open(Timestamp::now()).await.context("end the sessions that a crash left open")?;
        for session in ended {
            tracing::warn!(stream_session = session.stream_id, "ended a stream session that the last run left open");
        }
        let live = headwater_live::Options {
            reconnect_window: config.reconnect_window,
            ladder: config.ladder.clone(),
            ..Default::default()
        };
        let hub = Hub::new(live, Arc::clone(&sessions) as Arc<dyn headwater_live::Journal>);

        let functions = Functions::new(
            headwater_functions::Config {
                python: config.python.clone(),
                node: config.node.clone(),
                retry_delays: config.retry_delays,
                ..headwater_functions::Config::new(&config.data, &addresses.api_url, realm.clone())
            },
            Arc::clone(&store),
            Arc::new(credentials.clone()),
        )
        .context("prepare the folder of functions")?;
        let web_address = WebAddress { origin: addresses.web_url.clone(), ..WebAddress::localhost(web_port) };
        let sites = Sites::new(Arc::clone(&store), blobs.clone(), realm.clone(), web_address);
        sites.clean_leftovers().await.context("remove what unfinished uploads left")?;
        let engine = headwater_stacks::Engine::new(Arc::clone(&store), realm.clone(), Default::default());

        let control = Control::new(headwater_control::Parts {
            realm: realm.clone(),
            endpoints: Endpoints {
                api_url: addresses.api_url.clone(),
                web_url: addresses.web_url.clone(),
                ingest_host: addresses.ingest_host.clone(),
                rtmp_port: addresses.rtmp_port,
                tls_port: addresses.tls_port,
            },
            quotas: config.quotas,
            insecure_ingest: config.insecure_ingest,
            store: Arc::clone(&store),
            blobs,
            credentials,
            broadcasts: Arc::new(hub.clone()),
            functions: functions.clone(),
            interact: interact.clone(),
            sites: sites.clone(),
            engine: engine.clone(),
        });
        engine.register(headwater_control::stacks::registry(&control));
        let gate = private::gate(&control, config.country_database.as_deref())?;
        let countries = match config.country_database {
            Some(_) => private::CountriesKnown::Yes,
            None => private::CountriesKnown::No,
        };

        let (doors, work) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(headwater_bus::run(
            Arc::clone(&store),
            realm.clone(),
            Arc::new(Delivering::new(control.clone())),
            work.clone(),
        ));
        tasks.spawn({
            let (functions, work) = (functions.clone(), work.clone());
            async move { functions.run(work).await }
        });
        tasks.spawn({
            let work = work.clone();
            async move { engine.run(work).await }
        });
        tasks.spawn(headwater_control::ivs::recording::run(control.clone(), work.clone()));
        tasks.spawn(housekeeping(control.clone(), Arc::clone(&sessions), work.clone()));

        let s3 =
            headwater_sites::s3::service(sites.clone(), Arc::new(headwater_control::s3::Keys::new(control.clone())));
        let viewers = headwater_edge::Viewers::new(config.views_max);
        let traffic = headwater_edge::Traffic::default();
        let sources = metrics::Sources {
            hub: hub.clone(),
            control: control.clone(),
            functions: functions.clone(),
            requests: Arc::default(),
            commits,
            viewers: viewers.clone(),
            traffic: traffic.clone(),
            rates: Default::default(),
        };
        tasks.spawn(metrics::sample::run(sources.clone(), work.clone()));
        let gateway = Gateway::new(headwater_gateway::Parts {
            control: control.clone(),
            s3: Some(s3),
            limits: Default::default(),
            requests: Arc::clone(&sources.requests),
            metrics: Some(headwater_gateway::MetricsPage {
                text: Arc::new(move || metrics::page::text(&sources)),
                content_type: metrics::page::CONTENT_TYPE,
                allow: config.metrics_allow.clone(),
            }),
        });
        let drain = crate::serve::DRAIN;
        let api_router = headwater_gateway::router(gateway);
        tasks.spawn(http_server::serve(listeners.api, api_router, doors.clone(), drain));

        tasks.spawn(private::follow(control.clone(), gate.clone(), countries, work.clone()));
        tasks.spawn(headwater_control::ivs::views::run(
            control.clone(),
            viewers.views_max() as u64,
            viewers.turned_away(),
            work.clone(),
        ));
        tasks.spawn(viewers.clone().run(hub.clone(), work.clone()));
        let playback = headwater_edge::playback(headwater_edge::State {
            hub: hub.clone(),
            channels: Arc::new(Channels(control.clone())),
            realm,
            gate: gate.clone(),
            viewers,
            traffic,
        });
        let answers = headwater_interact::router(interact.clone());
        let answers = private::guard_answers(answers, control.clone(), hub.clone(), gate);
        let web = Web::new(&control, playback, answers, sites);
        tasks.spawn(http_server::serve(listeners.web, web.clone(), doors.clone(), drain));

        let directory: Arc<dyn headwater_ingest::Directory> = Arc::new(StreamKeys { control });
        if let Some(listener) = listeners.tls {
            let ca = LocalCa::load_or_create(config.data.join("tls"), std::slice::from_ref(&config.host))
                .context("make the local certificate authority")?;
            let tls = ca.server_config().context("read the local certificate")?;
            tasks.spawn(Arc::new(ca).keep_renewed(work.clone()));
            let web = web.over_tls();
            let doors_of_http = doors.clone();
            let http = move |stream: TlsConnection, peer: SocketAddr| {
                http_server::connection(stream, peer, web.clone(), doors_of_http.clone())
            };
            let limits = Limits::default();
            tasks.spawn(headwater_ingest::serve_tls(
                listener,
                tls,
                Arc::clone(&directory),
                hub.clone(),
                limits,
                doors.clone(),
                http,
            ));
        }
        tasks.spawn(headwater_ingest::serve_rtmp(
            listeners.rtmp,
            directory,
            hub.clone(),
            Limits::default(),
            doors.clone(),
        ));
        owned.publish(&addresses)?;
        Ok(Server { addresses, hub, interact, functions, tasks, doors, work, _owned: owned })
    }

    /// Ends streams with their events written, then requests, then the work behind them. `false` if something was
    /// not finished in time; jobs are then done by the next start.
    pub async fn end(mut self, deadline: Duration) -> bool {
        let ended = async {
            // Streams first: their last events must be written while everything behind them still runs.
            let drained = self.hub.shutdown(deadline / 2).await;
            self.interact.end_subscriptions();
            self.doors.cancel();
            self.work.cancel();
            while self.tasks.join_next().await.is_some() {}
            self.functions.flush_logs().await;
            drained == headwater_live::Drained::InTime
        };
        tokio::time::timeout(deadline, ended).await.unwrap_or(false)
    }
}

async fn bind(config: &Config) -> anyhow::Result<Listeners> {
    let api = bind_one("listen.api", config.listen_api).await?;
    let web = bind_one("listen.web", config.listen_web).await?;
    let rtmp = bind_one("listen.rtmp", config.listen_rtmp).await?;
    let tls = match config.listen_tls {
        TlsListen::Off => None,
        TlsListen::At(address) => Some(bind_one("listen.tls", address).await?),
        TlsListen::Auto => {
            let [first, second] = TLS_ADDRESSES;
            match TcpListener::bind(first).await {
                Ok(listener) => Some(listener),
                Err(error) => {
                    tracing::warn!(%error, "{first} cannot be bound; RTMPS and HTTPS are served on {second}, which encoders must name");
                    match TcpListener::bind(second).await {
                        Ok(listener) => Some(listener),
                        Err(error) => {
                            tracing::warn!(%error, "{second} cannot be bound either; RTMPS and HTTPS are off");
                            None
                        }
                    }
                }
            }
        }
    };
    Ok(Listeners { api, web, rtmp, tls })
}

async fn bind_one(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "listen on {address} ({setting}); end the program that listens there, or give another address with --{}",
            setting.replace('.', "-")
        )
    })
}

fn addresses(config: &Config, listeners: &Listeners) -> anyhow::Result<Addresses> {
    let api = listeners.api.local_addr()?;
    // Functions and the command line run on this machine, whatever the listener is bound to. An IP address, so that
    // SDKs use path-style S3.
    let api_url = match api {
        SocketAddr::V6(v6) if !v6.ip().is_unspecified() => format!("http://[{}]:{}", v6.ip(), v6.port()),
        SocketAddr::V4(v4) if !v4.ip().is_unspecified() => format!("http://{v4}"),
        other => format!("http://127.0.0.1:{}", other.port()),
    };
    let web_port = listeners.web.local_addr()?.port();
    let web_url = match (&config.web_url, web_port) {
        (Some(url), _) => url.clone(),
        (None, 80) => format!("http://{}", config.host),
        (None, port) => format!("http://{}:{port}", config.host),
    };
    let tls_port = match &listeners.tls {
        Some(listener) => Some(listener.local_addr()?.port()),
        None => None,
    };
    Ok(Addresses {
        api_url,
        web_url,
        ingest_host: config.host.clone(),
        rtmp_port: listeners.rtmp.local_addr()?.port(),
        tls_port,
        pid: std::process::id(),
    })
}

/// Removes what has had its time.
async fn housekeeping(control: Control, sessions: Arc<Sessions>, cancel: CancellationToken) {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = cancel.cancelled() => return,
        }
        let now = Timestamp::now();
        if let Err(error) = control.credentials().remove_expired(now).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "expired keys could not be removed");
        }
        if let Err(error) = sessions.remove_old(now).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "what has had its time could not be removed");
        }
    }
}
