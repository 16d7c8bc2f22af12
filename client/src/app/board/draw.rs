//! How a scene looks. Nothing is told by colour alone.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Sparkline};

use super::Path;
use super::scene::{Own, Person, Scene, Stream};
use crate::app::meter::Quality;

pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene) {
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(6),
        Constraint::Length(NEWS),
        Constraint::Length(1),
    ]);
    let [head, body, news, foot] = rows.areas(frame.area());
    let columns = Layout::horizontal([Constraint::Percentage(36), Constraint::Min(30)]);
    let [people, streams] = columns.areas(body);
    frame.render_widget(title(scene), head);
    draw_people(frame, people, &scene.people);
    draw_streams(frame, streams, &scene.streams, scene.own.as_ref());
    draw_news(frame, news, &scene.news);
    frame.render_widget(Line::from(KEYS).dim(), foot);
    if scene.is_help {
        draw_help(frame);
    }
}

fn title(scene: &Scene) -> Line<'_> {
    let state = match scene.path {
        Path {
            is_signaling_away: true,
            is_connected: true,
        } => "signaling is away, media goes on".yellow(),
        Path {
            is_signaling_away: true,
            ..
        } => "signaling is away, trying again".red(),
        Path {
            is_connected: true, ..
        } => "connected".green(),
        Path { .. } => "connecting".yellow(),
    };
    let place = if scene.title.is_empty() {
        "Baton"
    } else {
        &scene.title
    };
    Line::from(vec![place.bold(), "   ".into(), state])
}

fn draw_people(frame: &mut Frame<'_>, area: Rect, people: &[Person]) {
    let lines = people.iter().flat_map(|person| {
        let mark = if person.is_speaking { "> " } else { "  " };
        let mut name = vec![Span::raw(mark), Span::raw(&person.name)];
        if person.is_me {
            name.push(" (you)".dim());
        }
        if person.is_away {
            name.push(" away".yellow());
        }
        let style = Style::new().add_modifier(if person.is_speaking {
            Modifier::BOLD
        } else {
            Modifier::empty()
        });
        let tracks = (!person.tracks.is_empty())
            .then(|| Line::from(vec!["    ".into(), person.tracks.as_str().dim()]));
        std::iter::once(Line::from(name).style(style)).chain(tracks)
    });
    let title = format!(" people: {} ", people.len());
    let list = Paragraph::new(lines.collect::<Vec<_>>()).block(Block::bordered().title(title));
    frame.render_widget(list, area);
}

/// A line of words and a line of plot each, as many as there is room for.
fn draw_streams(frame: &mut Frame<'_>, area: Rect, streams: &[Stream], own: Option<&Own>) {
    let block = Block::bordered().title(" received, and sent ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let received = streams.iter().map(|stream| (words(stream), &stream.plot));
    let sent = own.map(|own| {
        let muted = if own.is_muted { "  muted" } else { "" };
        let text = format!("sent{:>27} kb/s{muted}", own.bitrate / 1000);
        (Line::from(text), &own.plot)
    });
    let mut rest = inside;
    for (line, plot) in received.chain(sent) {
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Fill(1),
        ]);
        if rest.height < 2 {
            return;
        }
        let [words, curve, below] = rows.areas(rest);
        frame.render_widget(line, words);
        let newest = plot.len().saturating_sub(curve.width.into());
        let plot = plot.get(newest..).unwrap_or_default();
        frame.render_widget(Sparkline::default().data(plot).cyan(), curve);
        rest = below;
    }
}

fn words(stream: &Stream) -> Line<'_> {
    let fps = stream.fps.map(|fps| format!(" {fps:>3} fps"));
    let color = match stream.quality {
        Quality::Silent => Color::DarkGray,
        Quality::Good => Color::Green,
        Quality::Fair => Color::Yellow,
        Quality::Poor => Color::Red,
    };
    Line::from(vec![
        Span::raw(format!("{:<24.24}", stream.label)),
        Span::raw(format!("{:>7} kb/s", stream.bitrate / 1000)),
        Span::raw(format!("{:<8}  ", fps.unwrap_or_default())),
        Span::styled(stream.quality.word(), color),
    ])
}

fn draw_news(frame: &mut Frame<'_>, area: Rect, news: &[String]) {
    let room = usize::from(area.height.saturating_sub(2));
    let newest = news.get(news.len().saturating_sub(room)..);
    let lines: Vec<Line<'_>> = newest
        .unwrap_or_default()
        .iter()
        .map(|text| Line::from(text.as_str()))
        .collect();
    let block = Block::bordered().title(" what happened ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn draw_help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let (width, height) = (area.width.min(56), area.height.min(HELP_ROWS));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let lines: Vec<Line<'_>> = HELP.iter().map(|text| Line::from(*text)).collect();
    let help = Paragraph::new(lines).block(Block::bordered().title(" help "));
    frame.render_widget(Clear, place);
    frame.render_widget(help, place);
}

const KEYS: &str = " q leave   m mute or unmute   s server   b hand the call back   h help";

const HELP: &[&str] = &[
    "q, Ctrl-C  leave the call",
    "m          mute or unmute what you send",
    "s          use the server only, or the computers of others again",
    "b          carry the call for the others no more",
    "h, ?       this help",
    "",
    "good  less than 1 % of packets missing",
    "fair  less than 5 %",
    "poor  more",
    "The curves show a minute, a second each.",
];

/// Rows of the help, with their border.
const HELP_ROWS: u16 = 11;

/// Rows of the news, with their border.
const NEWS: u16 = 8;
