"""Grafana dashboards as code: ``python -m observability.build`` writes ``observability/dashboards``.

``panels`` says how things look, ``board`` what every dashboard has around them; each other module is one dashboard, or a section of one; ``runbooks`` says where the alerts lead to. The
JSON itself is made by Grafana's own library, so that its form is not ours to keep up with.
"""
