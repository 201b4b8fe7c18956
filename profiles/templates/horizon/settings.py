# HAProxy is in front of it; what the user calls it is a name, an address or the end of a tunnel.
ALLOWED_HOSTS = ["*"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Whoever signed in with one member is signed in with all: the same key and the same sessions.
SECRET_KEY = {{ secrets.horizon_secret_key | tojson }}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
        "LOCATION": [{% for member in members("memcached") %}"{{ member.address }}:11211", {% endfor %}],
        "OPTIONS": {"use_pooling": True, "connect_timeout": 1, "timeout": 1},
    },
}

OPENSTACK_KEYSTONE_URL = "{{ frontend("keystone_service").url }}/v3"
OPENSTACK_KEYSTONE_MULTIDOMAIN_SUPPORT = True
