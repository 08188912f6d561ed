#!/bin/sh
# Makes the speech clips of the simulator: synthetic voices, so that nobody's voice is in the repository.
# Needs espeak-ng and sox. The clips are committed; run this only to change them.
#
# Under each clip lies noise at about -65 dBFS, so that its pauses are like those of a real line: clearly below the
# silence threshold of 0.01 (-40 dBFS), but never digital zero. Each clip ends in a pause, where it can loop unheard.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# clip NAME RATE VOICE WORDS_PER_MINUTE SSML
clip() {
  espeak-ng -m -v "$3" -s "$4" -w "$work/spoken.wav" "<speak>$5<break time=\"900ms\"/></speak>"
  sox "$work/spoken.wav" -b 16 -c 1 "$work/level.wav" rate -v "$2" norm -6
  sox -n -r "$2" -b 16 -c 1 "$work/noise.wav" synth "$(soxi -D "$work/level.wav")" whitenoise vol 0.0018
  sox -D -m -v 1 "$work/level.wav" -v 1 "$work/noise.wav" -b 16 "$1.wav"
}

clip american 16000 en-us 165 'Thank you for calling. <break time="700ms"/> My name is Alex. <break time="1100ms"/> Could you tell me your order number, please? <break time="1300ms"/> One moment, I am looking it up.'
clip british 8000 en-gb-x-rp+f3 160 'Good afternoon. <break time="900ms"/> I am calling about the parcel that should have come on Tuesday. <break time="1200ms"/> No, nobody rang the bell.'
clip german 16000 de+f2 160 'Guten Tag, Sie sprechen mit dem Kundendienst. <break time="1000ms"/> Womit kann ich Ihnen helfen? <break time="1400ms"/> Einen Augenblick bitte.'
clip french 8000 fr-fr+m3 160 'Bonjour. <break time="800ms"/> Je voudrais changer la date de mon rendez-vous. <break time="1300ms"/> Oui, jeudi matin me convient.'
clip spanish 8000 es+f4 165 'Buenos días. <break time="900ms"/> He recibido una factura que no entiendo. <break time="1200ms"/> El número es cuatro, siete, nueve, dos.'
