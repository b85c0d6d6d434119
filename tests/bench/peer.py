"""What the peers in Python share: `PEER WARM IN ORIGINAL PREVIEW COUNT` does
the job with a small picture first (imports, tables), then COUNT times with IN,
and prints the CPU time of one and the wall time of all."""
import time


def run(job, argv):
    warm, source, original, preview = argv[1:5]
    count = int(argv[5])
    job(warm, original, preview)
    cpu, wall = time.process_time(), time.monotonic()
    for _ in range(count):
        job(source, original, preview)
    print(f"cpu_ms={(time.process_time() - cpu) * 1000 / count:.1f}")
    print(f"wall_ms={(time.monotonic() - wall) * 1000:.1f}")
