import importlib.metadata

# HAProxy is in front of it, and says by what. What the user calls it is an address, a name that leads to
# it, or the end of a tunnel.
ALLOWED_HOSTS = [
    "{{ cloud.virtual_address }}",
    "{{ container.address }}",
    "localhost",
    "127.0.0.1",
    "[::1]",
{% if cloud.outside %}
{% for name in cloud.outside.names %}
    {{ name | replace("*.", ".") | tojson }},
{% endfor %}
{% endif %}
{% for name in variables.horizon_allowed_hosts %}
    {{ name | tojson }},
{% endfor %}
]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Whoever signed in with one member is signed in with all: the same key and the same sessions.
SECRET_KEY = {{ secrets.horizon_secret_key | tojson }}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_CACHE_ALIAS = "sessions"
memcached = {
    "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
    "LOCATION": [{% for member in members("memcached") %}"{{ member.address }}:11211", {% endfor %}],
    "OPTIONS": {"use_pooling": True, "connect_timeout": 1, "timeout": 1},
}
CACHES = {
    # Parts of pages are of one version: with those that another left there, a page asks for compressed
    # scripts that are not there, and is an error for as long as they are kept.
    "default": {**memcached, "KEY_PREFIX": importlib.metadata.version("horizon")},
    # Whoever is signed in stays so from one version to another.
    "sessions": memcached,
}

OPENSTACK_KEYSTONE_URL = "{{ frontend("keystone_service").url }}/v3"
OPENSTACK_KEYSTONE_MULTIDOMAIN_SUPPORT = True
