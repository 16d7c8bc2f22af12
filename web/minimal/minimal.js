// A whole call in plain JavaScript: the page where the built one is missing, and the shortest example of the protocol.
// Owns: one leg, three audio and nine video slots. Does not own: layouts, device menus, moving between hosts (see web/src).

const AUDIO_SLOTS = 3;
const VIDEO_SLOTS = 9;
const LAYERS = [['q', 4, 150_000], ['h', 2, 500_000], ['f', 1, 1_700_000]];
const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

const call = {
  room: '', name: '', token: query.get('token') ?? undefined, resume: undefined, me: 0, host: undefined, ice: [],
  socket: undefined, retries: 0, over: true, people: new Map(), kept: new Map(), leg: undefined, legs: 0,
  media: new MediaStream(), screen: undefined, muted: { microphone: false, camera: false }, ids: {}, shown: new Map(), speaking: [],
};

const send = (message) => { if (call.socket?.readyState === WebSocket.OPEN) call.socket.send(JSON.stringify(message)); };
const status = (text) => { $('status').textContent = text; };

// ---- signaling ----------------------------------------------------------------------------------------------------

function connect() {
  const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
  call.socket = socket;
  socket.addEventListener('open', () => send({
    type: 'join', protocol: 1, room: call.room, name: call.name, token: call.token,
    resume: call.resume ? { token: call.resume } : undefined,
  }));
  socket.addEventListener('message', (event) => {
    let message;
    try { message = JSON.parse(event.data); } catch { return; }
    HANDLERS[message?.type]?.(message); // a type that is not known is ignored
  });
  socket.addEventListener('close', () => {
    if (call.over || call.socket !== socket) return;
    status('Reconnecting…'); // media goes on without signaling
    setTimeout(connect, Math.min(4000, [0, 300, 1000, 2000][call.retries++] ?? 4000));
  });
}

/** A restarted service may know somebody again before it knows their tracks. */
function known(person) {
  if (person.tracks.length > 0) call.kept.delete(person.id);
  return { ...person, tracks: person.tracks.length > 0 ? person.tracks : call.kept.get(person.id)?.tracks ?? [] };
}

function stopGathering() {
  call.kept = new Map();
  for (const person of call.people.values()) if (person.missing) call.people.delete(person.id);
  draw();
}

const HANDLERS = {
  joined(message) {
    Object.assign(call, { me: message.me, resume: message.resume, host: message.host, ice: message.ice_servers, retries: 0 });
    call.kept = message.gathering ? call.people : new Map();
    const missing = [...call.kept.values()].map((person) => [person.id, { ...person, missing: true }]);
    call.people = new Map([...missing, ...message.participants.map((person) => [person.id, known(person)])]);
    if (message.gathering) setTimeout(stopGathering, 30_000);
    status('');
    if (!message.resumed || !call.leg) openLeg(); else if (call.leg.waiting) sendOffer(call.leg);
    draw();
  },
  participant({ participant }) { call.people.set(participant.id, known(participant)); draw(); },
  participant_left({ participant }) { call.people.delete(participant); draw(); },
  async answer({ leg, sdp, tracks }) {
    if (leg !== call.leg?.id || call.leg.pc.signalingState !== 'have-local-offer') return;
    call.leg.waiting = false;
    for (const track of tracks) call.ids[track.source] = track.id;
    await call.leg.pc.setRemoteDescription({ type: 'answer', sdp });
    if (call.leg.again) negotiate();
    draw();
  },
  leg_closed({ leg }) { if (leg === call.leg?.id) openLeg(); },
  host_changed({ host }) { call.host = host; openLeg(); },
  muted_by_moderator({ track }) { if (track === call.ids.microphone) setMuted('microphone', true); },
  chat({ name, text }) {
    const line = document.createElement('li');
    line.textContent = `${name}: ${text}`;
    $('lines').append(line);
  },
  removed({ reason }) { leave(`You are out of the call (${reason}).`); },
  error({ code, message, leg, fatal }) {
    if (code === 'not_found' || code === 'unauthorized') call.resume = undefined;
    if (fatal && code !== 'internal') leave(message);
    else if (leg !== undefined && leg === call.leg?.id) setTimeout(openLeg, 1000);
    else status(message);
  },
};

// ---- the leg ------------------------------------------------------------------------------------------------------

function openLeg() {
  if (call.over) return;
  if (call.leg) { send({ type: 'close_leg', leg: call.leg.id }); call.leg.pc.close(); }
  const pc = new RTCPeerConnection({ iceServers: call.ice, bundlePolicy: 'max-bundle' });
  const leg = { id: ++call.legs, pc, slots: [], waiting: false, again: false };
  call.leg = leg;
  call.shown.clear();
  const track = (kind) => call.media.getTracks().find((t) => t.kind === kind);
  // m-line 0 carries the transport: it may be inactive, it must never be stopped.
  leg.microphone = pc.addTransceiver(track('audio') ?? 'audio', { direction: track('audio') ? 'sendonly' : 'inactive' });
  leg.camera = pc.addTransceiver(track('video') ?? 'video', {
    direction: track('video') ? 'sendonly' : 'inactive',
    sendEncodings: LAYERS.map(([rid, scaleResolutionDownBy, maxBitrate]) => ({ rid, scaleResolutionDownBy, maxBitrate })),
  });
  for (let i = 0; i < AUDIO_SLOTS; i++) leg.slots.push(pc.addTransceiver('audio', { direction: 'recvonly' }));
  for (let i = 0; i < VIDEO_SLOTS; i++) leg.slots.push(pc.addTransceiver('video', { direction: 'recvonly' }));
  for (const slot of leg.slots) preferSmallSet(slot);
  leg.control = pc.createDataChannel('control', { negotiated: true, id: 0 });
  pc.createDataChannel('pulse', { negotiated: true, id: 1, ordered: false, maxRetransmits: 0 });
  leg.control.addEventListener('open', view);
  leg.control.addEventListener('message', (event) => { if (leg === call.leg) fromHost(JSON.parse(event.data)); });
  pc.addEventListener('icecandidate', ({ candidate }) => send({ type: 'candidate', leg: leg.id, candidate: candidate?.candidate ?? '' }));
  pc.addEventListener('iceconnectionstatechange', () => {
    if (pc.iceConnectionState === 'disconnected') { pc.restartIce(); negotiate(); }
    if (pc.iceConnectionState === 'failed' && leg === call.leg) openLeg();
  });
  if (call.screen) leg.screen = pc.addTransceiver(call.screen, { direction: 'sendonly' });
  negotiate();
}

function preferSmallSet(slot) {
  if (slot.receiver.track.kind !== 'video' || !slot.setCodecPreferences) return;
  const wanted = /^video\/(VP8|rtx)(;|$)|VP9.*profile-id=0|AV1|H264.*packetization-mode=1.*42e01f|H264.*42e01f.*packetization-mode=1/i;
  const codecs = RTCRtpReceiver.getCapabilities('video').codecs;
  slot.setCodecPreferences(codecs.filter((c) => wanted.test(`${c.mimeType}${c.sdpFmtpLine ? `;${c.sdpFmtpLine}` : ''}`)));
}

async function negotiate() {
  const leg = call.leg;
  if (leg.waiting) { leg.again = true; return; }
  leg.waiting = true;
  leg.again = false;
  await leg.pc.setLocalDescription();
  sendOffer(leg);
}

function sendOffer(leg) {
  const settings = call.media.getVideoTracks()[0]?.getSettings() ?? {};
  const size = (by) => ({ width: Math.round((settings.width ?? 1280) / by), height: Math.round((settings.height ?? 720) / by) });
  const tracks = [];
  if (leg.microphone.direction === 'sendonly') tracks.push({ mid: leg.microphone.mid, source: 'microphone', layers: [], muted: call.muted.microphone });
  if (leg.camera.direction === 'sendonly') {
    const layers = LAYERS.map(([rid, by, max_bitrate]) => ({ rid, ...size(by), max_bitrate }));
    tracks.push({ mid: leg.camera.mid, source: 'camera', layers, muted: call.muted.camera });
  }
  if (leg.screen?.direction === 'sendonly') {
    const { width = 1920, height = 1080 } = call.screen.getSettings();
    tracks.push({ mid: leg.screen.mid, source: 'screen', layers: [{ width, height, max_bitrate: 2_500_000 }], muted: false });
  }
  send({ type: 'offer', leg: leg.id, epoch: call.host.epoch, sdp: leg.pc.localDescription.sdp, tracks });
}

function fromHost(message) {
  if (message.type === 'slots') { call.shown = new Map(message.slots.map((slot) => [slot.slot, slot])); draw(); }
  if (message.type === 'speakers') { call.speaking = message.speakers; draw(); }
}

// Which track each video slot shall show: who has a slot keeps it.
function view() {
  const slots = call.leg?.slots.filter((slot) => slot.receiver.track.kind === 'video' && slot.mid !== null) ?? [];
  const wanted = document.hidden ? [] : [...call.people.values()].filter((p) => p.id !== call.me)
    .flatMap((p) => p.tracks.filter((t) => (t.source === 'camera' || t.source === 'screen') && !t.muted)).slice(0, VIDEO_SLOTS);
  const free = slots.filter((slot) => !wanted.some((t) => t.id === slot.track));
  for (const track of wanted) {
    const slot = slots.some((other) => other.track === track.id) ? undefined : free.shift();
    if (slot) slot.track = track.id;
  }
  for (const slot of free) if (!wanted.some((t) => t.id === slot.track)) slot.track = undefined;
  const entries = slots.filter((slot) => slot.track !== undefined).map((slot) => {
    const box = $(`t${slot.track}`)?.getBoundingClientRect() ?? { width: 320, height: 180 };
    const pixels = (x) => Math.max(16, Math.round(x * devicePixelRatio));
    return { slot: slot.mid, track: slot.track, width: pixels(box.width), height: pixels(box.height), fps: 0, priority: 0 };
  });
  const text = JSON.stringify({ type: 'view', slots: entries });
  if (call.leg?.control.readyState === 'open' && text !== call.leg.view) { call.leg.view = text; call.leg.control.send(text); }
}

// ---- the page -----------------------------------------------------------------------------------------------------

function tile(id, label, className, track) {
  let figure = $(id);
  if (!figure) {
    figure = document.createElement('figure');
    figure.id = id;
    figure.append(Object.assign(document.createElement('video'), { autoplay: true, muted: true, playsInline: true }), document.createElement('figcaption'));
    $('tiles').append(figure);
  }
  figure.className = className;
  figure.lastChild.textContent = label;
  const video = figure.firstChild;
  if ((video.srcObject?.getTracks()[0] ?? null) !== (track ?? null)) video.srcObject = track ? new MediaStream([track]) : null;
  return id;
}

function draw() {
  const keep = new Set([tile('me', `${call.name} (you)`, 'me', call.muted.camera ? undefined : call.media.getVideoTracks()[0])]);
  for (const person of call.people.values()) {
    if (person.id === call.me) continue;
    const speaking = call.speaking.includes(person.id) ? 'speaking' : '';
    const silent = person.tracks.some((t) => t.source === 'microphone' && !t.muted) ? '' : ' (muted)';
    const pictures = person.tracks.filter((t) => (t.source === 'camera' || t.source === 'screen') && !t.muted);
    if (pictures.length === 0) keep.add(tile(`p${person.id}`, person.name + silent, speaking));
    for (const track of pictures) {
      const slot = call.leg?.slots.find((s) => s.track === track.id && call.shown.get(s.mid)?.track === track.id);
      keep.add(tile(`t${track.id}`, person.name + silent, speaking, slot?.receiver.track));
    }
  }
  for (const figure of [...$('tiles').children]) if (!keep.has(figure.id)) figure.remove();
  for (const slot of call.leg?.slots ?? []) {
    if (slot.receiver.track.kind !== 'audio' || slot.player) continue;
    slot.player = Object.assign(new Audio(), { autoplay: true, srcObject: new MediaStream([slot.receiver.track]) });
  }
  view();
}

function setMuted(source, muted) {
  call.muted[source] = muted;
  $(source === 'camera' ? 'cam' : 'mic').setAttribute('aria-pressed', String(muted));
  for (const track of call.media.getTracks()) if ((track.kind === 'video') === (source === 'camera')) track.enabled = !muted;
  if (call.ids[source] !== undefined) send({ type: 'mute', track: call.ids[source], muted });
  draw();
}

async function share() {
  const { leg } = call;
  if (call.screen) {
    call.screen.stop();
    call.screen = undefined;
    if (leg.screen) leg.screen.direction = 'inactive';
  } else {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: true });
    call.screen = stream.getVideoTracks()[0];
    call.screen.addEventListener('ended', () => { if (call.screen) share(); });
    if (call.leg.screen) { await call.leg.screen.sender.replaceTrack(call.screen); call.leg.screen.direction = 'sendonly'; }
    else call.leg.screen = call.leg.pc.addTransceiver(call.screen, { direction: 'sendonly' });
  }
  $('share').setAttribute('aria-pressed', String(!!call.screen));
  negotiate();
}

async function capture() {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 } };
  for (const wish of [{ audio: true, video }, { audio: true }, { video }]) {
    try { return await navigator.mediaDevices.getUserMedia(wish); } catch { /* the next wish is smaller */ }
  }
  return new MediaStream();
}

async function join() {
  call.room = $('slug').value;
  call.name = $('name').value;
  call.over = false;
  $('problem').textContent = '';
  call.media = navigator.mediaDevices ? await capture() : new MediaStream();
  $('enter').hidden = true;
  $('call').hidden = false;
  $('room').textContent = call.room;
  history.replaceState(null, '', `/r/${call.room}`);
  connect();
}

function leave(why = '') {
  call.over = true;
  send({ type: 'leave' });
  call.socket?.close();
  call.leg?.pc.close();
  for (const track of [...call.media.getTracks(), call.screen]) track?.stop();
  Object.assign(call, { leg: undefined, resume: undefined, screen: undefined, ids: {} });
  $('call').hidden = true;
  $('enter').hidden = false;
  $('problem').textContent = why;
}

$('enter').addEventListener('submit', (event) => { event.preventDefault(); join(); });
$('mic').addEventListener('click', () => setMuted('microphone', !call.muted.microphone));
$('cam').addEventListener('click', () => setMuted('camera', !call.muted.camera));
$('share').addEventListener('click', () => share().catch((error) => status(error.message)));
$('talk').addEventListener('click', () => { $('chat').hidden = !$('chat').hidden; $('talk').setAttribute('aria-pressed', String(!$('chat').hidden)); });
$('leave').addEventListener('click', () => leave());
$('chat').addEventListener('submit', (event) => { event.preventDefault(); if ($('text').value) send({ type: 'chat', text: $('text').value }); $('text').value = ''; });
addEventListener('pagehide', () => { if (!call.over) leave(); });
addEventListener('resize', () => { if (!call.over) view(); });
document.addEventListener('visibilitychange', () => { if (!call.over) view(); });

$('name').value = query.get('name') ?? '';
$('slug').value = decodeURIComponent(location.pathname.match(/^\/r\/([^/]+)/)?.[1] ?? query.get('room') ?? '');
if (query.has('join') && $('enter').checkValidity()) join();
