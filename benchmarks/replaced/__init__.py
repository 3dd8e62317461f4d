"""What the first designs named, run beside what stands in its place: ``python -m benchmarks.replaced``.

The figures of ``docs/adr/0001-what-the-first-designs-named-and-we-replaced.md`` come from here.
"""
