# A network of its own. Machines have external addresses, since Cloud NAT costs more than small machines
# do, and nothing reaches them there: no rule lets anything in, and the first one here says so.

resource "google_compute_network" "this" {
  name                    = "clove-${var.name}"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  name                     = "clove-${var.name}"
  network                  = google_compute_network.this.id
  region                   = var.region
  ip_cidr_range            = var.cidr
  private_ip_google_access = true
}

resource "google_compute_firewall" "nothing_inward" {
  name          = "clove-${var.name}-nothing-inward"
  network       = google_compute_network.this.id
  direction     = "INGRESS"
  priority      = 100
  source_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }
}

resource "google_compute_firewall" "outward" {
  name               = "clove-${var.name}-outward"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 100
  destination_ranges = ["0.0.0.0/0"]

  allow {
    protocol = "tcp"
    ports    = [for port in var.egress_ports : tostring(port)]
  }
}

resource "google_compute_firewall" "nothing_else_outward" {
  name               = "clove-${var.name}-nothing-else-outward"
  network            = google_compute_network.this.id
  direction          = "EGRESS"
  priority           = 200
  destination_ranges = ["0.0.0.0/0"]

  deny {
    protocol = "all"
  }
}
