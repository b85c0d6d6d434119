// The LINE job with sharp. As users write it: one pipeline per output, default
// settings, once more a little smaller while the file is too large.
// SHARP_TUNED=1: decoded once, the preview made from the resized pixels,
// compressionLevel 1.
//
//   sharp.js WARM IN ORIGINAL PREVIEW COUNT     as peer.py
'use strict';

const fs = require('fs');
const path = require('path');
const modules = process.env.SHARP_MODULES || path.join(__dirname,
  'node_modules');
const sharp = require(path.join(modules, 'sharp'));

const fit = (side) => ({ width: side, height: side, fit: 'inside',
  withoutEnlargement: true });

async function saveWithin(source, target, side, limit) {
  for (;;) {
    await sharp(source).rotate().resize(fit(side)).png().toFile(target);
    if (fs.statSync(target).size <= limit) return;
    side = Math.floor(side * 0.8);
  }
}

async function asWritten(source, original, preview) {
  await saveWithin(source, original, 2048, 10_000_000);
  await saveWithin(source, preview, 640, 1_000_000);
}

async function saveRaw(pixels, target, side, limit) {
  const raw = { width: pixels.info.width, height: pixels.info.height,
    channels: pixels.info.channels };

  for (;;) {
    await sharp(pixels.data, { raw }).resize(fit(side))
      .png({ compressionLevel: 1 }).toFile(target);
    if (fs.statSync(target).size <= limit) return;
    side = Math.floor(side * 0.8);
  }
}

async function tuned(source, original, preview) {
  const pixels = await sharp(source).rotate().resize(fit(2048)).raw()
    .toBuffer({ resolveWithObject: true });

  await saveRaw(pixels, original, 2048, 10_000_000);
  await saveRaw(pixels, preview, 640, 1_000_000);
}

async function main() {
  const [warm, source, original, preview, count] = process.argv.slice(2);
  const job = process.env.SHARP_TUNED ? tuned : asWritten;

  sharp.cache(false); // the same file again and again is not what users send
  await job(warm, original, preview);
  const cpu = process.cpuUsage();
  const wall = performance.now();
  for (let i = 0; i < Number(count); i++) await job(source, original, preview);
  const used = process.cpuUsage(cpu);
  console.log(`cpu_ms=${((used.user + used.system) / 1000 / count).toFixed(1)}`);
  console.log(`wall_ms=${(performance.now() - wall).toFixed(1)}`);
}

main();
