//! What one Opus channel has been given since a gap: `src/shard/kept-records.ts`.

/// Lost packets begin with whole samples, whatever the rate.
const UNIT_TICKS: f64 = 12.0;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Packet,
    Lost,
    Empty,
}

/// What the recorder has of a record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sent {
    pub digest: u64,
    pub samples: usize,
}

#[derive(Clone, Debug)]
pub struct KeptRecord {
    pub kind: Kind,
    pub sequence: f64,
    pub timestamp: f64,
    /// In RTP ticks, as `ticks`.
    pub position: f64,
    pub ticks: f64,
    pub arrival_us: f64,
    pub payload: Box<[u8]>,
    pub is_poison: bool,
    pub is_silent: bool,
    pub is_new: bool,
    pub sent: Option<Sent>,
}

/// `former` records from `start` on, of `former_bytes` payload, were replaced by `count` others.
pub struct Replaced {
    pub start: usize,
    pub former: Vec<KeptRecord>,
    pub count: usize,
}

/// Puts a late packet into its place. None when there is none: it lies before the first record, or is there.
pub fn insert_late(records: &mut Vec<KeptRecord>, mut packet: KeptRecord) -> Option<Replaced> {
    let known = records.iter().rposition(|record| record.kind != Kind::Empty && record.sequence == packet.sequence);
    let first = records.first()?;
    let (start, end) = match known {
        Some(at) if records[at].kind == Kind::Packet => return None,
        Some(at) => run_around(records, at),
        None if packet.position < first.position => return None,
        None => {
            let place = records.iter().rposition(|record| record.position <= packet.position).map_or(0, |at| at + 1);
            (place, place)
        }
    };
    let is_silent = |at: Option<usize>| at.and_then(|at| records.get(at)).is_none_or(|record| record.is_silent);
    packet.is_new = true;
    packet.is_silent = is_silent(start.checked_sub(1)) && is_silent(Some(end));
    let replacement = if start == end { vec![packet] } else { divided(&records[start..end], packet) };
    let count = replacement.len();
    let former = records.splice(start..end, replacement).collect();
    Some(Replaced { start, former, count })
}

/// The lost packets next to one another around `at`.
fn run_around(records: &[KeptRecord], at: usize) -> (usize, usize) {
    let is_other = |record: &KeptRecord| record.kind != Kind::Lost;
    let start = records[..at].iter().rposition(is_other).map_or(0, |before| before + 1);
    let end = records[at..].iter().position(is_other).map_or(records.len(), |behind| at + behind);
    (start, end)
}

/// The packet, and the lost ones of `run` that are still lost, with the time that is left for them.
fn divided(run: &[KeptRecord], packet: KeptRecord) -> Vec<KeptRecord> {
    let from = run[0].position;
    let last = &run[run.len() - 1];
    let to = last.position + last.ticks;
    let before: Vec<_> = run.iter().filter(|record| record.sequence < packet.sequence).collect();
    let after: Vec<_> = run.iter().filter(|record| record.sequence > packet.sequence).collect();
    let mut all = spread(&before, &packet, from, packet.position.min(to));
    let behind = spread(&after, &packet, (packet.position + packet.ticks).max(from), to);
    all.push(packet);
    all.extend(behind);
    all
}

/// Divides a stretch equally among `lost`; an empty stretch where there are none.
fn spread(lost: &[&KeptRecord], packet: &KeptRecord, from: f64, to: f64) -> Vec<KeptRecord> {
    let ticks = to - from;
    if ticks <= 0.0 {
        return Vec::new();
    }
    let made = |kind, record: &KeptRecord, position: f64, ticks| KeptRecord {
        kind,
        position,
        ticks,
        is_poison: false,
        is_new: false,
        sent: None,
        ..record.clone()
    };
    if lost.is_empty() {
        return vec![KeptRecord {
            payload: Box::default(),
            is_silent: false,
            ..made(Kind::Empty, packet, from, ticks)
        }];
    }
    let count = lost.len();
    let start_of =
        |i| if i == count { to } else { from + UNIT_TICKS * round(ticks * i as f64 / (count as f64 * UNIT_TICKS)) };
    let divide = |(i, record): (usize, &&KeptRecord)| {
        let position = start_of(i);
        let duration = start_of(i + 1) - position;
        if position == record.position && duration == record.ticks {
            return (*record).clone();
        }
        let timestamp = record.timestamp + position - record.position;
        KeptRecord { timestamp, ..made(Kind::Lost, record, position, duration) }
    };
    lost.iter().enumerate().map(divide).collect()
}

/// As JavaScript's Math.round: halves go up.
pub fn round(number: f64) -> f64 {
    let whole = number.floor();
    if number - whole >= 0.5 { whole + 1.0 } else { whole }
}
